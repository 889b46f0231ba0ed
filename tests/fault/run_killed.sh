#!/usr/bin/env bash
# The same campaign undisturbed, with a worker killed, and with the whole job killed and run again: the same twelve files.
source "$(dirname "$0")/farm.sh"

campaign calm 400
run calm
finish 0
check_complete calm

cp calm.csv worker.csv
sed 's/calm/worker/' calm.yaml >worker.yaml
run worker
until_true 60 some_done worker 2
until_true 20 both_work worker
kill -9 "$(worker_pid worker 2)"
finish 0
check_complete worker
same_files calm worker
grep -q '"event":"worker.died"' out-worker/events.jsonl || fail "nobody noticed the death"

cp calm.csv job.csv
sed 's/calm/job/' calm.yaml >job.yaml
for round in 1; do
  run job
  until_true 60 some_done job $((3 * round))
  until_true 20 both_work job
  mapfile -t pids < <(descendants "$LAUNCHER")
  [ ${#pids[@]} -ge 5 ] || fail "expected a launcher, mpirun and three ranks, found ${pids[*]}"
  kill -9 "${pids[@]}"
  finish 137
  until_true 10 all_gone "${pids[@]}"
done
run job
finish 0
check_complete job
same_files calm job

# only the launcher killed: the job goes with it, nothing lingers, and the next run goes on
cp calm.csv head.csv
sed 's/calm/head/' calm.yaml >head.yaml
run head
until_true 60 some_done head 1
mapfile -t pids < <(descendants "$LAUNCHER")
kill -9 "$LAUNCHER"
finish 137
until_true 15 all_gone "${pids[@]}"
run head
finish 0
check_complete head
same_files calm head
echo "four runs, the same twelve clips"
