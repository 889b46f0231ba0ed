#!/usr/bin/env bash
# Shots rendered by groups of two ranks (run --group-size): a rank dies, fails or stops in the middle of what the two compute
# together. It costs its group's shot the steps since the checkpoint, never the farm; the survivors go on in new groups.
source "$(dirname "$0")/farm.sh"
ROWS=4
SPLIT=(--group-size 2 --split 1x1x2)

campaign calm 6
printf 'checkpoint: {every: 2}\n' >>calm.yaml
status_is 2 "$PROGRAM" run calm.yaml --out out-few --workers 1 --group-size 2 2>few.err
grep -q -e '--workers 1: expected at least as many as --group-size 2' few.err && [ ! -e out-few ] || fail "fewer workers than a group: $(cat few.err)"
WORKERS=2 run calm "${SPLIT[@]}"
finish 0
check_complete calm

# Two groups and a spare. Ranks 2 and 3 die in the middle of their groups' first shots: 2 when the first checkpoint is surely whole, 3 before 4
# fails, which may be in its group. 1, 4 and 5 are enough to go on.
again death
provoke "at=denoise,step=5,rank=2,do=kill,once=$WORK/death.2; at=denoise,step=1,rank=3,do=kill,once=$WORK/death.3;" \
  "at=denoise,step=2,rank=4,do=fail.node,once=$WORK/death.4"
WORKERS=5 run death "${SPLIT[@]}"
finish 0
check_complete death
same_files calm death
for rank in 2 3; do events death worker.died | grep "\"worker\":$rank," >/dev/null || fail "nobody noticed the death of $rank"; done
[ "$(times death job.started)" = 1 ] || fail "the job was started again: survivors were enough to go on"
events death shot.rendered | grep '"steps_resumed":[24],' >/dev/null || fail "no shot went on from its checkpoint"

# One group, and the rank that takes part stops for ever: the group's step limit ends it, and the spare takes its place.
again stopped
provoke "at=denoise,step=3,rank=2,do=stop,once=$WORK/stopped.2"
WORKERS=3 run stopped "${SPLIT[@]}" --step-limit 20
finish 0
check_complete stopped
same_files calm stopped
[ -s stopped.2 ] || fail "rank 2 was not stopped"
grep -q 'made no progress' out-stopped/events.jsonl || fail "nobody noticed that the group hung"

# Too few are left for a group: the job ends, and is started again.
again few
provoke "at=denoise,step=3,rank=1,do=kill,once=$WORK/few.1"
WORKERS=2 run few "${SPLIT[@]}"
finish 0
check_complete few
same_files calm few
[ "$(times few job.started)" = 2 ] || fail "$(times few job.started) launches, expected 2"

# A stop checkpoints the group's shot, and one rank alone goes on from it, as this campaign allows.
again term
printf 'reuse: {mixed: true}\n' >>term.yaml
provoke "at=denoise,step=3,do=hold,until=$WORK/go"
WORKERS=2 run term "${SPLIT[@]}"
until_true 120 held term 1
kill -TERM "$LAUNCHER"
finish 75
calm_down
WORKERS=1 run term
finish 0
check_complete term
events term shot.rendered | sed -n 1p | grep '"steps_resumed":3,' >/dev/null || fail "the group's checkpoint was not used"
