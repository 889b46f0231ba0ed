#!/usr/bin/env bash
# Campaigns under a real Slurm: preempted and requeued, a node killed, an old attempt left running, in parts.
# Each time the clips are those of an undisturbed run without Slurm. Where something is disturbed, every worker is held at a step
# until the file `go` is there (common/provoke.h), so nothing here depends on how fast the machine is.
source "$(dirname "$0")/../fault/farm.sh"
source "$(dirname "$0")/cluster.sh"
ROWS=4
calm_campaign

# -- preempted and requeued; then a node is killed, and it goes on in the same allocation
again night
provoke "$HOLD"
deadline=$(date -d '+3 hours' +%H:%M) # not a fixed one, which is too near for five minutes a day
submit night --nodes 2 --time 30 --deadline "$deadline"
grep -q '2 nodes, at most 0:[0-9]* h an attempt, until '"$deadline" night.submit || fail "$(cat night.submit)"
until_true 90 held night 2
sbatch --partition=urgent --nodes=2 --exclusive --output=/dev/null --wrap true >/dev/null
until_true 90 attempt_is "$JOB" 1
says night 'every shot in work is checkpointed' || fail "the preempted job did not stop in order"
says night 'requeued; attempt 1' || fail "the preempted job did not requeue itself"
[ -n "$(find out-night/latents -name '*.h5')" ] || fail "nothing was checkpointed"
until_true 90 held night 2
kill_node n2
goes_on() { [ "$(times night job.started)" = 3 ] && held night 1; }
until_true 90 goes_on
attempt_is "$JOB" 1 || fail "the job did not go on in the same allocation"
says night 'job ended (died) with work left' || fail "the launcher did not notice the node's death"
says night 'host n2 is left out: it does not answer' || fail "the node that was killed is not named"
release
ends_well "$JOB" night

# -- Slurm gives a node up and requeues; the old script and its launcher run on there, and are fenced
rm go
revive_node n2
again old
submit old
until_true 90 held old 1
NODE=$(job_says "$JOB" NodeList)
launcher_of() { # JOB: a rank has other options
  local p
  for p in $(job_processes "SLURM_JOB_ID=$1"); do
    { tr '\0' ' ' <"/proc/$p/cmdline"; } 2>/dev/null | grep '^[^ ]*reelwright run .*--workers' >/dev/null && echo "$p"
  done
  return 0
}
OLD=$(launcher_of "$JOB")
[ -n "$OLD" ] || fail "no launcher found"
kill -STOP "$OLD" # it sleeps through what happens, and wakes up when its successor works
kill_daemon "$NODE"
until_true 90 attempt_is "$JOB" 1
until_true 90 held old 1
kill -CONT "$OLD"
until_true 90 says old 'took this campaign over'
until_true 90 says old 'ended with status 3'
release
ends_well "$JOB" old
[ "$(times old job.started)" = 2 ] || fail "the old attempt started another job"

calm_down
revive_node "$NODE"

# -- in parts: an array, and the job that merges
again parts
submit parts --parts 2
MERGE=$(sed -n 's/.*job \([0-9]*\) merges.*/\1/p' parts.submit)
ends_well "$MERGE" parts
[ ! -e out-parts/parts ] && [ -s out-parts/events.2-of-2.jsonl ] || fail "the parts are still there"

# -- before the night: every node works (how fast: run_bench.sh)
export REELWRIGHT_SMOKE_CAMPAIGN=$WORK/calm.yaml
sbatch --wait --nodes=2 --output=smoke.err "$SCRIPTS/smoke.sbatch" --workers 1 >/dev/null || fail "smoke.sbatch"
grep -q '2 nodes work' smoke.err || fail "smoke.sbatch does not say that both nodes work"

# -- past its deadline a job ends at once, and what Slurm refuses is said
REELWRIGHT_DEADLINE=$(($(date +%s) - 60)) sbatch --wait --output=late.err "$SCRIPTS/campaign.sbatch" calm.yaml out-late >/dev/null || true
grep -q 'the deadline has passed' late.err && [ ! -e out-late ] || fail "a job past its deadline did not end"
status=0
"$PROGRAM" submit calm.yaml --out out-no --partition nowhere >no.out 2>no.err || status=$?
[ $status = 2 ] && grep -q 'sbatch refused.*invalid partition' no.err || fail "a refusal of sbatch: status $status"
status=0
sed 's/^steps.*/stepps: 4/' calm.yaml >bad.yaml
"$PROGRAM" submit bad.yaml --out out-bad >bad.out 2>bad.err || status=$?
[ $status = 2 ] && grep -q 'stepps' bad.err && [ ! -e out-bad ] || fail "a bad campaign was submitted"
echo "preempted, requeued, a node killed, an attempt fenced, in parts: the same clips"
