#!/usr/bin/env bash
# run_ranks.sh PROGRAM MODEL FOLDER - `render --group-size T` when a rank dies, fails or is asked to stop in the middle: the others
# end at once, nothing hangs and nothing is left over, and another number of ranks goes on from the checkpoint if it may.
source "$(dirname "$(readlink -f "$0")")/farm.sh"

RENDER=(timeout 120 "$PROGRAM" render --model "$MODEL" --prompt "a balloon" --output clip.mp4 --width 48 --height 32 --frames 9 --steps 8
  --checkpoint c.h5 --checkpoint-every 2 --resume --group-size)
expect() { # STATUS TEXT T [options]: the render ends with the status, the text is in its last words
  local want=$1 text=$2 status=0
  shift 2
  : >ranks.err
  "${RENDER[@]}" "$@" >/dev/null 2>>ranks.err || status=$?
  [ "$status" = "$want" ] || fail "exit status $status, expected $want"
  grep -q "$text" ranks.err || fail "nobody said \"$text\""
}

export REELWRIGHT_PROVOKE="at=denoise,step=3,rank=1,do=kill"
expect 3 'rank 1, which shared the shot, died' 2 --split 1x1x2
export REELWRIGHT_PROVOKE="at=denoise,step=4,rank=0,do=kill"
expect 3 'rank 0, which shared the shot, died' 4 --split 2x1x2
export REELWRIGHT_PROVOKE="at=denoise,step=5,rank=3,do=fail.node"
expect 3 'a failure was ordered' 4 --split 1x2x2
[ ! -e clip.mp4 ] || fail "a render that failed left a clip"

# One dies while they join each other, where MPI would wait for it for ever: they are started again.
export REELWRIGHT_PROVOKE="at=join,rank=1,do=kill,once=$WORK/joining"
expect 0 '' 2
[ -s joining ] && [ -s clip.mp4 ] || fail "no clip after a death at the start"
rm clip.mp4 c.h5

begin() { # T [options]: in the background, by LAUNCHER and its MPIRUN
  : >ranks.err
  rm -f held.* go
  "${RENDER[@]}" "$@" >/dev/null 2>>ranks.err &
  JOB=$!
  until_true 60 find_launcher
}
find_launcher() { LAUNCHER=$(pgrep -P "$JOB") && MPIRUN=$(pgrep -P "$LAUNCHER"); }
ended_with() { # STATUS WHEN
  local status=0
  wait "$JOB" || status=$?
  [ "$status" = "$1" ] || fail "exit status $status $2, expected $1"
}
alive_ranks() { pgrep -P "$MPIRUN" -f 'render --model' || true; }
hold() { export REELWRIGHT_PROVOKE="at=denoise,step=6,rank=0,do=hold,until=go,once=held.0; at=denoise,step=6,rank=1,do=hold,until=go,once=held.1"; }
all_held() { [ -s held.0 ] && [ -s held.1 ]; }

# A stop before the ranks have begun, and one in the middle: the rank that waits there goes on, and the step is checkpointed.
export REELWRIGHT_PROVOKE="at=denoise,step=1,rank=0,do=hold,until=go" # ranks that are quicker than this test do not end before the stop
begin 2
kill -TERM "$LAUNCHER"
ended_with 75 "after an early stop"
rm -f c.h5
hold
begin 2 --split 2x1x1
until_true 60 all_held
kill -TERM "$LAUNCHER"
ended_with 75 "after a stop"

unset REELWRIGHT_PROVOKE
cp c.h5 two.h5
"${RENDER[@]}" 1 --json >one.json 2>>ranks.err || fail "one rank does not render what two stopped at"
grep -q '"steps_resumed": 0' one.json || fail "one rank went on with what two began: $(cat one.json)"
grep -q 'begun by "cpu .* 2x1x1", and this is "cpu .* 1x1x1".*; the shot starts again' ranks.err || fail "nobody said why the shot started again"
mv two.h5 c.h5
"${RENDER[@]}" 1 --mixed --json >one.json 2>>ranks.err || fail "one rank does not go on where two stopped"
grep -q '"steps_resumed": [4-7]' one.json || fail "nothing was resumed: $(cat one.json)"
[ -s clip.mp4 ] || fail "no clip"

# An mpirun that does not end by itself (here it is stopped): without ranks, and with ranks that are done and wait for it.
hang() { # [options]
  rm -f c.h5 clip.mp4
  hold
  begin 2 "$@"
  until_true 60 all_held
  kill -STOP "$MPIRUN"
}
hang
kill -KILL $(alive_ranks) || true # one of them may be a child that mpirun only just began with
ended_with 3 "when all ranks were killed"
grep -q 'without a word' ranks.err || fail "nobody said that the ranks are gone"
hang
LEFT=$(alive_ranks)
[ "$(wc -w <<<"$LEFT")" -ge 2 ] || fail "found no ranks"
touch go
ended_with 0 "of ranks that were done"
[ -s clip.mp4 ] || fail "no clip of ranks that were done"
until_true 60 all_gone $LEFT
