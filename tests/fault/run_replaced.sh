#!/usr/bin/env bash
# run_replaced.sh PROGRAM MODEL FOLDER - a worker dies early in a night: the others go on, and when it pays the launcher starts the
# job again with a new worker in its place, which renders too; nothing that was done is done twice, and the clips are the same.
# How long that takes grows with the job's start (dispatch/replace.c), so the others wait in their shots until it is decided.
source "$(dirname "$(readlink -f "$0")")/farm.sh"

campaign calm 8
run calm
finish 0
check_complete calm

again night
orders="at=denoise,step=1,rank=3,do=kill,once=$WORK/killed; at=decode,rank=3,do=sleep,ms=1,once=$WORK/rendered"
for clip in k6 k7 k8 k9 k10 k11; do
  for rank in 1 2; do # in the first job, and in the second
    orders+="; at=denoise,step=2,clip=$clip,rank=$rank,do=hold,until=$WORK/go.$rank"
    orders+="; at=denoise,step=6,clip=$clip,rank=$rank,do=hold,until=$WORK/rendered"
  done
done
provoke "$orders"
WORKERS=3 run night --step-limit 3000
until_true 500 happened night workers.replaced
[ "$(times night job.started)" = 1 ] || fail "the job was started again before that"
cp out-night/events.jsonl first.jsonl
second=$(worker_pid night 2)
touch go.2
until_true 60 all_gone "$second" # one that leaves does not take with it one that has not given back its shot yet
touch go.1
finish 0
calm_down
check_complete night
same_files calm night

[ "$(times night job.started)" = 2 ] || fail "$(times night job.started) jobs were started, expected 2"
[ "$(times night worker.died)" = 1 ] || fail "$(times night worker.died) workers died, expected 1"
by() { # WORKER: the shots it rendered, in events on stdin
  grep -c "\"event\":\"shot.rendered\".*\"worker\":$1," || true
}
[ "$(by 3 <first.jsonl)" = 0 ] && [ "$(grep -c '"event":"shot.rendered"' first.jsonl)" -ge 3 ] || fail "in the first job the survivors did not go on"
[ "$(by 3 <out-night/events.jsonl)" -gt 0 ] || fail "the new worker rendered nothing"
[ "$(leases night stopped)" = 2 ] || fail "the survivors did not both give back their shots"
[ "$(times night shot.rendered)" = $((ROWS - 1)) ] || fail "a shot was rendered twice"
echo "a lost worker replaced in the middle of a night: the same clips"
