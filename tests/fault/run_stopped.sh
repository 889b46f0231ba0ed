#!/usr/bin/env bash
# Signals, a second run, another campaign, bad input; a worker that hangs for ever, and one that comes back.
source "$(dirname "$0")/farm.sh"
ROWS=6

campaign calm 12
run calm
finish 0
check_complete calm

again usr1
again term
provoke "$HOLD"
for signal in USR1 TERM; do
  name=${signal,,}
  run $name
  until_true 120 held $name 2
  kill -$signal "$LAUNCHER"
  finish 75
  nobody_works $name || fail "a worker still works after $signal"
  [ "$(find out-$name/latents -name '*.h5' | wc -l)" = 2 ] || fail "$signal left no checkpoint of the shots in work"
done
run term
until_true 120 held term 2
status=0
"$PROGRAM" run term.yaml --out out-term 2>second.err || status=$?
[ $status = 3 ] || fail "a second run in the same folder: status $status, expected 3"
grep -q 'another run works in this folder' second.err || fail "the second run was refused without saying why"
"$PROGRAM" status out-term | grep 'of 6 clips' >/dev/null || fail "no status beside a run"
kill -HUP "$LAUNCHER" # as a terminal that is closed
release
finish 0
check_complete term
same_files calm term
[ "$(events term shot.rendered | grep -vc '"steps_resumed":0,')" -ge 2 ] ||
  fail "the checkpoints of the stopped runs were not used"
before=$(stat -c %Y.%i out-term/clips/k1.mp4)
run term
finish 0
[ "$before" = "$(stat -c %Y.%i out-term/clips/k1.mp4)" ] || fail "a finished clip was written again"
calm_down

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
again hung
provoke "at=denoise,step=2,rank=2,do=stop,once=$WORK/hung; at=load,rank=1,do=hold,until=$WORK/hung"
run hung --step-limit 5
finish 0
check_complete hung
same_files calm hung
grep -q 'made no progress' out-hung/events.jsonl || fail "nobody noticed the hung worker"
until_true 60 all_gone "$(cut -d' ' -f1 hung)"

# a worker that hangs and comes back after its lease was given away: what it brings is not taken, then it works on
again back
provoke "at=denoise,step=2,rank=2,do=stop,once=$WORK/asleep; at=load,rank=1,do=hold,until=$WORK/asleep"
run back --step-limit 5
until_true 120 test -s asleep
"$PROGRAM" pause out-back >/dev/null # so that there is work left when it wakes up
until_true 120 grep -qs 'made no progress' out-back/events.jsonl
kill -CONT "$(cut -d' ' -f1 asleep)"
until_true 120 happened back worker.back
"$PROGRAM" resume out-back >/dev/null
finish 0
calm_down
check_complete back
same_files calm back
happened back result.ignored || fail "the result of the lease that was given away was not ignored"
echo "stopped, resumed, refused, recovered"
