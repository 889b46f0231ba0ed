#!/usr/bin/env bash
# run_ranks.sh PROGRAM MODEL FOLDER - `render --group-size T` when a rank dies, fails or is asked to stop in the middle: the others
# end at once, nothing hangs and nothing is left over, and another number of ranks goes on from the checkpoint.
source "$(dirname "$(readlink -f "$0")")/farm.sh"

ranks() { # T [options]
  local t=$1
  shift
  timeout 60 "$PROGRAM" render --model "$MODEL" --prompt "a balloon" --output clip.mp4 --width 48 --height 32 --frames 9 --steps 8 \
    --checkpoint c.h5 --checkpoint-every 2 --resume --group-size "$t" "$@" 2>>ranks.err
}
expect() { # STATUS TEXT T [options]: the render ends with the status, the text is in its last words
  local want=$1 text=$2 status=0
  shift 2
  : >ranks.err
  ranks "$@" >/dev/null || status=$?
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

export REELWRIGHT_PROVOKE="at=denoise,step=7,rank=1,do=hold,until=never"
ranks 2 --split 2x1x1 >/dev/null &
JOB=$!
held() { grep -qs 'denoise' ranks.err; }
until_true 30 held
sleep 1
pkill -TERM -P "$JOB" -f 'render --model' || kill -TERM "$JOB"
status=0
wait "$JOB" || status=$?
[ "$status" = 75 ] || fail "exit status $status after a stop, expected 75"

unset REELWRIGHT_PROVOKE
ranks 1 --json >one.json || fail "one rank does not go on where four stopped"
grep -q '"steps_resumed": [4-7]' one.json || fail "nothing was resumed: $(cat one.json)"
[ -s clip.mp4 ] || fail "no clip"
