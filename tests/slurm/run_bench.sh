#!/usr/bin/env bash
# slurm/bench.sbatch on two nodes: what it measures, a node that has eight times as much to do, and one whose program is gone.
source "$(dirname "$0")/../fault/farm.sh"
source "$(dirname "$0")/cluster.sh"
start_cluster
export REELWRIGHT=$PROGRAM REELWRIGHT_HOME=$(dirname "$SCRIPTS") REELWRIGHT_ENV=/nonexistent REELWRIGHT_MPIRUN=$4
bench() { # NAME [options]: its log
  sbatch --wait --nodes=2 --output="$1.err" "$SCRIPTS/bench.sbatch" --stage transformer --shape 1.3b --layers 1 --latent 1x8x8 --repeat "$2" >/dev/null
}

bench both 1 || fail "bench.sbatch"
[ "$(grep -c '^n[12] .* times the fastest' both.err)" = 2 ] || fail "it does not time both nodes"
[ "$(grep -c '^n[12]  files .* MB/s written' both.err)" = 2 ] || fail "it does not measure the file system on both nodes"
grep -q '^sum of 16 MiB over 2 ranks: .* GB/s' both.err || fail "it does not measure the network"

printf '#!/bin/bash\n[ "$SLURMD_NODENAME" != n2 ] || [ "$2 $3" != "--stage transformer" ] || exec %q "$@" --layers 8\nexec %q "$@"\n' "$PROGRAM" "$PROGRAM" >slow.sh
printf '#!/bin/bash\n[ "$SLURMD_NODENAME" != n1 ] || exit 1\nexec %q "$@"\n' "$PROGRAM" >gone.sh
chmod +x slow.sh gone.sh
export REELWRIGHT=$WORK/slow.sh
bench slow 5 || fail "bench.sbatch with a slow node"
sed -n 2p slow.err | grep -q '^n2 .*: SLOW$' || fail "the slow node is not the first one"
grep -q '^leave out: n2 (submit --sbatch=--exclude=n2)$' slow.err || fail "the slow node is not named"
export REELWRIGHT=$WORK/gone.sh
bench gone 1 && fail "bench.sbatch succeeds without a node"
grep -q '^n1 failed$' gone.err && grep -q '^leave out: n1 ' gone.err || fail "the node without a program is not named"
echo "both nodes measured; the slow one and the broken one named"
