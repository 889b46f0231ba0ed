#!/usr/bin/env bash
# A worker decodes a shot while it denoises the next one: held there, killed, stopped, failing, with the whole job killed; the same clips.
source "$(dirname "$0")/farm.sh"
ROWS=6

# Whoever decodes waits at its second frame, once; its worker makes the next shot's steps, and then waits for it.
hold_tail() { provoke "at=decode,step=1,${2:-}do=hold,until=$WORK/go.$1,once=$WORK/tail.$1"; } # NAME [FIELDS,]
let_go() { touch "go.$1"; }
beside() { # NAME STAGE: a worker has a tail and is in that stage of another lease
  json "$1" | awk -v want="$2" '/"worker":/ {tail = 0} /"stage":/ && !tail {stage = $2} /"tail": \{/ {tail = 1}
    tail && /"stage": "decode"/ && stage ~ want {found = 1} END {exit !found}'
}
resumed_at_8() { events "$1" shot.rendered | grep -c '"steps_resumed":8,' || true; }

campaign calm 8
run calm
finish 0
check_complete calm

# Both at once: while the tail is held, the next shot's steps are made; what is decoded counts only then.
again both
hold_tail both
WORKERS=1 run both
until_true 120 beside both 'denoise|decode'
[ "$(times both shot.rendered)" = 0 ] || fail "the first shot was rendered, and its decoder was held"
[ "$(events both lease.given | grep -c '"kind":"render"')" = 2 ] || fail "a worker had other than two leases in hand"
until_true 120 beside both decode # it has made all steps of the second, and waits
let_go both
finish 0
check_complete both
same_files calm both
[ "$(times both lease.tail)" = $((ROWS - 1)) ] || fail "not each shot was decoded beside the next one"
[ "$(leases both lost)$(leases both failed)" = 00 ] || fail "a lease was lost or failed"

# killed with both in hand: both shots are only decoded again
again dead
hold_tail dead rank=2,
REELWRIGHT_PROVOKE+="; at=load,rank=1,do=hold,until=$WORK/go.dead" # else it might leave no second shot for the other one
run dead
until_true 120 beside dead decode
kill -9 "$(cut -d' ' -f1 tail.dead)"
let_go dead
finish 0
check_complete dead
same_files calm dead
[ "$(leases dead lost)" = 2 ] || fail "a worker died with two leases, and $(leases dead lost) are lost"
[ "$(resumed_at_8 dead)" = 2 ] || fail "$(resumed_at_8 dead) shots went on from their last step, expected 2"

# stopped with both in hand
again stopped
hold_tail stopped
WORKERS=1 run stopped
until_true 120 beside stopped decode
kill -TERM "$LAUNCHER"
finish 75
[ "$(leases stopped stopped)" = 2 ] || fail "not both leases were given back, or more: $(leases stopped stopped)"
calm_down
run stopped
finish 0
check_complete stopped
same_files calm stopped
[ "$(resumed_at_8 stopped)" = 2 ] || fail "$(resumed_at_8 stopped) shots went on from their last step, expected 2"

# the whole job killed
again job
hold_tail job
WORKERS=1 run job
until_true 120 beside job decode
kill_whole_job job 4
[ "$(resumed_at_8 job)" = 2 ] || fail "$(resumed_at_8 job) shots went on from their last step, expected 2"

# a decoder that hangs, as on a dead file server: its lease is given away, then the one that waits for it; its worker is killed at the end
again hung
provoke "at=decode,step=1,do=sleep,ms=600000,once=$WORK/tail.hung"
run hung --step-limit 10 --grace 1
finish 0
calm_down
check_complete hung
same_files calm hung
[ "$(leases hung lost)" -ge 1 ] || fail "nobody gave up on the worker that hangs"

# a shot that cannot be decoded fails alone; one that could not once is made in the end
again bad
provoke "at=decode,step=1,clip=k2,do=fail.clip; at=decode,step=1,clip=k3,do=fail.retry,once=$WORK/once"
run bad
fails_alone bad k2
made_by_retry bad k2
echo "decoded beside the next shot, killed, stopped, failed: the same clips"
