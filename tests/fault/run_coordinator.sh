#!/usr/bin/env bash
# The coordinator killed before and after each kind of commit, with or without a result in between; the launcher killed at its own.
source "$(dirname "$0")/farm.sh"

campaign calm 8
run calm
finish 0
check_complete calm

deaths() { # NAME STATUS LAUNCHES ORDER...: each order once, in rank 0; "@N" is from the Nth epoch on
  local name=$1 status=$2 launches=$3 orders="" order
  shift 3
  again "$name"
  for order in "$@"; do
    case $order in
    *at=*) orders+="$order,once=$WORK/$name.$(printf '%s' "$order" | tr -dc 'a-z0-9'); " ;;
    *) orders+="at=${order%@*},step=${order#*@},rank=0,do=kill,once=$WORK/$name.$(printf '%s' "$order" | tr -dc 'a-z0-9'); " ;;
    esac
  done
  provoke "$orders"
  run "$name"
  finish "$status"
  calm_down
  for order in "$@"; do
    [ -s "$name.$(printf '%s' "$order" | tr -dc 'a-z0-9')" ] || fail "$name: nobody died at $order"
  done
  [ "$(grep -c -- '-- mpirun ended' "out-$name/run.log")" = "$launches" ] ||
    fail "$name: $(grep -c -- '-- mpirun ended' "out-$name/run.log") launches, expected $launches"
}

# Two deaths in a row without a result between them, then one with: three without would be the end of the launcher's patience.
deaths rounds 0 10 after.done@1 before.epoch@2 before.lease@2 after.done@3 after.epoch@4 after.lease@5 after.done@6 \
  before.mastered@7 after.mastered@8
check_complete rounds
same_files calm rounds

deaths ends 0 2 before.done@1 before.close@2
check_complete ends
same_files calm ends

deaths lost 0 3 before.lost@1 after.lost@2 'at=denoise,step=2,rank=2,do=kill' 'at=denoise,step=3,rank=2,do=kill'
check_complete lost
same_files calm lost

# a shot that no worker can make: given up, once, whatever happens to the one who writes it down
again given
provoke "at=load,clip=k3,do=fail.clip; at=before.give up,rank=0,do=kill,once=$WORK/g1; at=after.give up,rank=0,do=kill,once=$WORK/g2"
run given
finish 1
calm_down
[ -s g1 ] && [ -s g2 ] || fail "nobody died while the shot was given up"
[ "$(number given failed)" = 1 ] && [ "$(number given finished)" = $((ROWS - 1)) ] || fail "given: not all but one are finished"
[ "$(times given clip.failed)" -le 1 ] || fail "given: the clip was given up twice"

# with both workers stopped nobody ends the job when the coordinator dies: the launcher sees it, and does not wait for a sign of life
again alone
provoke "at=denoise,step=2,rank=1,do=stop,once=$WORK/s1; at=denoise,step=2,rank=2,do=stop,once=$WORK/s2; at=after.request,rank=0,do=kill,once=$WORK/s0"
run alone
until_true 120 held alone 2
"$PROGRAM" priority out-alone 1 >/dev/null
finish 0
calm_down
[ -s s0 ] || fail "alone: the coordinator did not die"
! grep -q 'the coordinator is silent' alone.err || fail "alone: a dead coordinator was waited for"
check_complete alone
same_files calm alone

# the launcher, which plans and delivers
again plan
for point in before.plan after.plan before.deliver after.deliver; do
  provoke "at=$point,do=kill"
  run plan
  finish 137
done
calm_down
run plan
finish 0
check_complete plan
same_files calm plan
echo "the coordinator killed at fifteen commits, the launcher at four: the same twelve clips"
