#!/usr/bin/env bash
# Signals, a second run, another campaign, bad input, a hung worker, the coordinator's death.
source "$(dirname "$0")/farm.sh"
ROWS=6

campaign calm 1000 # about 2 s a shot alone on two cores: long enough to be seen at work
run calm
finish 0
check_complete calm
cp calm.csv term.csv
sed 's/calm/term/' calm.yaml >term.yaml
for signal in TERM USR1; do
  run term
  until_true 60 both_work term
  sleep 0.5
  kill -$signal "$LAUNCHER"
  finish 75
  [ "$(workers_busy term)" = 0 ] || fail "a worker still works after $signal"
done
run term
until_true 60 both_work term
status=0
"$PROGRAM" run term.yaml --out out-term 2>second.err || status=$?
[ $status = 3 ] || fail "a second run in the same folder: status $status, expected 3"
grep -q 'another run works in this folder' second.err || fail "the second run was refused without saying why"
"$PROGRAM" status out-term | grep -q 'of 6 clips' || fail "no status beside a run"
finish 0
check_complete term
same_files calm term
before=$(stat -c %Y.%i out-term/clips/k1.mp4)
run term
finish 0
[ "$before" = "$(stat -c %Y.%i out-term/clips/k1.mp4)" ] || fail "a finished clip was written again"

campaign other 5 8
status=0
"$PROGRAM" run other.yaml --out out-term 2>refused.err || status=$?
[ $status = 2 ] || fail "the folder of another campaign: status $status, expected 2"
grep -q '"term"' refused.err && grep -q '"other"' refused.err || fail "the refusal does not name both campaigns"
[ "$before" = "$(stat -c %Y.%i out-term/clips/k1.mp4)" ] || fail "the other campaign's folder was changed"

sed 's/^steps.*/stepps: 4/' other.yaml >bad.yaml
status=0
"$PROGRAM" run bad.yaml --out out-bad 2>bad.err || status=$?
[ $status = 2 ] || fail "an unknown key: status $status, expected 2"
[ ! -e out-bad ] || fail "something was started on bad input"

# a worker that hangs: its shot goes to the other one, and the job ends although it never wakes up
campaign hung 1000
run hung --step-limit 4
until_true 60 both_work hung
pid=$(worker_pid hung 2)
kill -STOP "$pid"
finish 0
check_complete hung
grep -q 'made no progress' out-hung/events.jsonl || fail "nobody noticed the hung worker"
until_true 15 all_gone "$pid"

# the coordinator dies: the launcher starts the job again
campaign head 1000
run head
until_true 60 some_done head 1
pid=$(sed -n 's/.*"job.started".*"pid":\([0-9]*\).*/\1/p' out-head/events.jsonl | tail -1)
kill -9 "$pid"
finish 0
check_complete head
[ "$(grep -c '"event":"job.started"' out-head/events.jsonl)" = 2 ] || fail "the job was not started again"
echo "stopped, resumed, refused, recovered"
