# mpi.cmake - finds Open MPI: MPI_HOME names one (quickstart.sh passes its own Open MPI 5); else the system's.
if(MPI_HOME MATCHES " ") # FindMPI cuts what mpicc says where the folder's name has a space, so it is told here
  set(MPI_C_COMPILER_INCLUDE_DIRS "${MPI_HOME}/include" CACHE PATH "")
  set(MPI_C_LINK_FLAGS -pthread CACHE STRING "")
  set(MPI_C_LIB_NAMES mpi CACHE STRING "")
  set(MPI_mpi_LIBRARY "${MPI_HOME}/lib/libmpi.so" CACHE FILEPATH "")
endif()
find_package(MPI REQUIRED COMPONENTS C)
