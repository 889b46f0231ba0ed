#!/usr/bin/env bash
# run_ranks.sh MPIRUN RANKS PROGRAM [ARGUMENTS]: the program on so many ranks of this machine.
set -euo pipefail
mpirun=$1 ranks=$2
shift 2
export HOME=${HOME:-/} OMP_WAIT_POLICY=passive # threads that wait sleep: there are more of them than cores
unset "${!OMPI_@}" "${!PMIX_@}" 2>/dev/null || true
options=(--oversubscribe --bind-to none)
[ "$(id -u)" != 0 ] || options+=(--allow-run-as-root)
! "$mpirun" --version | grep 'Open MPI) 5' >/dev/null || options+=(--with-ft ulfm)
exec timeout 280 "$mpirun" "${options[@]}" -n "$ranks" "$@"
