#!/usr/bin/env bash
# How many groups and rows one coordinator serves: bench_farm in one process with 1,000 simulated workers, then with groups of
# several, and over MPI with 64. Then two that render beside seven that finish, over MPI, where a finish takes three renders.
# Arguments: bench_farm, the model folder, an empty folder to work in, mpiexec. Without REELWRIGHT_LONG it is small and its limits
# are wide, for a slow machine; REELWRIGHT_LONG=1 plans and dispatches 1,000,000 rows (3 GB of disk, some minutes) against the
# limits that SCALE.md is about.
set -euo pipefail
BENCH=$1 MODEL=$2 WORK=$3 MPIEXEC=$4
rm -rf "$WORK"
mkdir -p "$WORK"
unset "${!OMPI_@}" "${!PMIX_@}" 2>/dev/null || true

if [ -n "${REELWRIGHT_LONG:-}" ]; then
  local_size=(--rows 1000000)
  shared_size=(--rows 1000000 --share 2500 --least-rate 20) # 400 shots of 2,500 clips
  group_size=(--rows 300000 --group 2 --workers 2000 --least-rate 15000)
  files_size=(--rows 100000 --files --least-rate 1000)
  mpi_size=(--rows 100000 --step-ms 2 --least-rate 2000)
  busy_size=(--rows 20 --step-ms 500 --finish-ms 9000)
else
  slow=(--most-status-ms 10000 --most-steer-ms 10000)
  local_size=(--rows 20000 --least-rate 1000 --most-plan-s 15 --most-plan-mb 100 "${slow[@]}")
  shared_size=(--rows 20000 --share 2500 --least-rate 1 "${slow[@]}")
  group_size=(--rows 10000 --group 3 --workers 999 --least-rate 500 "${slow[@]}")
  files_size=(--rows 5000 --files --least-rate 10 "${slow[@]}")
  mpi_size=(--rows 2000 --step-ms 2 --least-rate 20 --most-idle-percent 300)
  busy_size=(--rows 20 --step-ms 100 --finish-ms 1800 --most-idle-percent 300 --least-busy-percent 60)
fi

echo "== in one process"
"$BENCH" "$MODEL" "$WORK/local" "${local_size[@]}"
rm -rf "$WORK/local"
echo "== many clips of each shot"
"$BENCH" "$MODEL" "$WORK/shared" "${shared_size[@]}"
rm -rf "$WORK/shared"
echo "== in groups"
"$BENCH" "$MODEL" "$WORK/group" "${group_size[@]}"
rm -rf "$WORK/group"
echo "== with files, delivered"
"$BENCH" "$MODEL" "$WORK/files" "${files_size[@]}"
rm -rf "$WORK/files"
echo "== over MPI"
options=(--oversubscribe --bind-to none)
[ "$(id -u)" != 0 ] || options+=(--allow-run-as-root)
over_mpi() { # RANKS FOLDER [options of bench_farm]
  OMP_NUM_THREADS=1 "$MPIEXEC" "${options[@]}" -n "$1" "$BENCH" "$MODEL" "$2" --mpi "${@:3}"
  rm -rf "$2"
}
over_mpi 65 "$WORK/mpi" "${mpi_size[@]}"
echo "== renders that wait for no finish"
over_mpi 10 "$WORK/busy" --finishers 7 --least-rate 0 "${busy_size[@]}"
