# cuda.cmake - looks for what the CUDA back end needs: nvcc, cuBLASLt, cuDNN, NCCL. Sets REELWRIGHT_CUDA (ON when all of it is
# there) and the target cuda_libraries; says what is missing otherwise, and the program is built without.
#
# cuDNN and NCCL may be in the toolkit's own folders, the system's, or in the Python packages that PyTorch brings (nvidia/cudnn,
# nvidia/nccl): REELWRIGHT_CUDA_ROOTS adds folders to look into, each with include/ and lib/ below.
option(REELWRIGHT_WITH_CUDA "build the CUDA back end where it can be built" ON)
set(REELWRIGHT_CUDA_ARCHITECTURES "90" CACHE STRING "compute capabilities to compile for, such as 80;90;100")
set(REELWRIGHT_CUDA_ROOTS "" CACHE STRING "further folders with include/ and lib/ of cuBLAS, cuDNN, NCCL")

set(REELWRIGHT_CUDA OFF)
find_program(NVCC nvcc HINTS ${CUDAToolkit_ROOT}/bin $ENV{CUDA_HOME}/bin /usr/local/cuda/bin)
if(NOT REELWRIGHT_WITH_CUDA OR REELWRIGHT_SANITIZE OR REELWRIGHT_FUZZ)
  message(STATUS "no CUDA back end: not asked for, or a build for sanitizers")
  return()
elseif(NOT NVCC)
  message(STATUS "no CUDA back end: no nvcc")
  return()
endif()
get_filename_component(nvcc_folder ${NVCC} REALPATH)
get_filename_component(nvcc_folder ${nvcc_folder} DIRECTORY)
get_filename_component(toolkit ${nvcc_folder} DIRECTORY)
set(cuda_roots ${REELWRIGHT_CUDA_ROOTS} ${toolkit} ${toolkit}/targets/x86_64-linux ${toolkit}/targets/sbsa-linux)

set(cuda_missing "")
foreach(pair cudart:cuda_runtime_api.h:13:12 cublasLt:cublasLt.h:13:12 cudnn:cudnn.h:9 nccl:nccl.h:2)
  string(REPLACE ":" ";" part ${pair})
  list(POP_FRONT part name header)
  set(names ${name})
  foreach(version IN LISTS part) # a Python package has no link without the version
    list(APPEND names lib${name}.so.${version})
  endforeach()
  find_path(CUDA_${name}_INCLUDE ${header} HINTS ${cuda_roots} PATH_SUFFIXES include)
  find_library(CUDA_${name}_LIBRARY NAMES ${names} HINTS ${cuda_roots} PATH_SUFFIXES lib lib64 lib/x86_64-linux-gnu)
  if(NOT CUDA_${name}_INCLUDE OR NOT CUDA_${name}_LIBRARY)
    list(APPEND cuda_missing ${name})
  endif()
endforeach()
if(cuda_missing)
  message(STATUS "no CUDA back end: nvcc is here, but not ${cuda_missing} (header and library)")
  return()
endif()

set(REELWRIGHT_CUDA ON)
add_library(cuda_libraries INTERFACE)
foreach(name cudart cublasLt cudnn nccl)
  target_include_directories(cuda_libraries SYSTEM INTERFACE ${CUDA_${name}_INCLUDE})
  target_link_libraries(cuda_libraries INTERFACE ${CUDA_${name}_LIBRARY})
  get_filename_component(folder ${CUDA_${name}_LIBRARY} DIRECTORY)
  target_link_options(cuda_libraries INTERFACE -Wl,-rpath,${folder})
endforeach()
message(STATUS "CUDA back end: ${NVCC}, sm_${REELWRIGHT_CUDA_ARCHITECTURES}, ${CUDA_cudnn_LIBRARY}, ${CUDA_nccl_LIBRARY}")

# cuda_compile(OUT file.cu...): object files. nvcc is called as it is: CMake's own CUDA language compiles test programs for
# architectures of its choice first, which takes longer than all of ours.
get_filename_component(cuda_source_root ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
function(cuda_compile out)
  set(targets "")
  foreach(arch IN LISTS REELWRIGHT_CUDA_ARCHITECTURES)
    string(REGEX REPLACE "^90$" "90a" arch ${arch}) # with all that 9.0 has: attention_int8.cu
    list(APPEND targets -gencode=arch=compute_${arch},code=sm_${arch})
  endforeach()
  set(objects "")
  foreach(source IN LISTS ARGN)
    get_filename_component(stem ${source} NAME_WE)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/cuda_${stem}.o)
    add_custom_command(
      OUTPUT ${object}
      COMMAND ${NVCC} -std=c++17 -O3 -lineinfo ${targets} -I${cuda_source_root} -Xcompiler=-fPIC -MD -MF ${object}.d
              -c ${source} -o ${object}
      DEPENDS ${source}
      DEPFILE ${object}.d
      COMMENT "nvcc ${stem}.cu")
    list(APPEND objects ${object})
  endforeach()
  set(${out} ${objects} PARENT_SCOPE)
endfunction()
