#!/usr/bin/env bash
# run_space.sh CMAKE SOURCE MPI_HOME WORK - a program of MPI is configured and linked where the folder's name has a space: FindMPI cuts what
# mpicc says there, and quickstart.sh ended with "non-existent path".
set -euo pipefail
cmake=$1 source=$2 mpi=$3 work=$4
fail() { echo "FAILED: $*" >&2; exit 1; }
rm -rf "$work"
mkdir -p "$work/a folder/mpi"
cd "$work/a folder"
ln -s "$mpi"/* mpi/
rm mpi/bin
cp -r "$mpi/bin" mpi/ # mpicc tells of the folder where it is itself
cat >CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.22)
project(space C)
include("$source/cmake/mpi.cmake")
add_executable(version version.c)
target_link_libraries(version PRIVATE MPI::MPI_C)
END
cat >version.c <<'END'
#include <mpi.h>
int main(void)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int n;
    return MPI_Get_library_version(text, &n) != MPI_SUCCESS || n == 0;
}
END
"$cmake" -S . -B build -G Ninja -DMPI_HOME="$PWD/mpi" >configure.log 2>&1 || { tail -n 15 configure.log >&2; fail "it cannot be configured"; }
"$cmake" --build build >build.log 2>&1 || { tail -n 15 build.log >&2; fail "it cannot be built"; }
build/version || fail "the program does not run"
[ "$(sed -n 's/^MPIEXEC_EXECUTABLE:FILEPATH=//p' build/CMakeCache.txt)" = "$PWD/mpi/bin/mpiexec" ] || fail "another mpiexec was found"
echo "an MPI program was built in \"$PWD\""
