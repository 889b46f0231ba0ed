#!/usr/bin/env bash
# The node with the batch script is lost, its sruns a moment before the rest: a guard on the other node requeues the job, which
# goes on when there are two nodes again.
source "$(dirname "$0")/../fault/farm.sh"
source "$(dirname "$0")/cluster.sh"
ROWS=4
calm_campaign

provoke "$HOLD"
again first
submit first --nodes 2
until_true 90 held first 2
NODE=$(job_says "$JOB" BatchHost)
sruns() { # on that node
  local p
  for p in $(job_processes "SLURMD_NODENAME=$NODE"); do
    [ "$(cat "/proc/$p/comm" 2>/dev/null)" = srun ] && echo "$p"
  done
  return 0
}
guard_stands_alone() { # the job's first srun was the guard's, and is gone
  [ "$(squeue -h -s -j "$JOB" -o %i | grep -c "^$JOB\.0$")" = 1 ] && ! grep -lsz -- '^--exclude' $(sruns | sed 's:.*:/proc/&/cmdline:') /dev/null
}
until_true 60 guard_stands_alone
first=() # of each pair, found before any is killed: its child is left to see it
for p in $(sruns); do
  [ "$(cat "/proc/$(awk '/^PPid/ {print $2}' "/proc/$p/status")/comm")" = srun ] || first+=("$p")
done
[ ${#first[@]} -gt 0 ] || fail "no srun of the job on $NODE"
kill -9 "${first[@]}"
sleep 1
kill_node "$NODE"
requeued() { [ "$(job_says "$JOB" Restarts)" = 1 ] && job_is "$JOB" PENDING; }
until_true 60 requeued
return_node "$NODE"
until_true 90 attempt_is "$JOB" 1
release
ends_well "$JOB" first
echo "the first node lost: the same clips"
