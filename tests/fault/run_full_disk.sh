#!/usr/bin/env bash
# A disk that is full from the start (2), one that fills up in the middle (3, and the run goes on once there is room), one that can
# only be read (2).
source "$(dirname "$0")/farm.sh"
[ "$(id -u)" = 0 ] || skip "needs root to mount a small file system"
mkdir out-small
mount -t tmpfs -o size=80m tmpfs out-small 2>/dev/null || skip "cannot mount a tmpfs here"
trap 'umount -l "$WORK/out-small"' EXIT

campaign small 12
head -c 70m /dev/zero >out-small/.ballast
status=0
"$PROGRAM" run small.yaml --out out-small --workers 2 2>full.err || status=$?
[ $status = 2 ] || fail "a full disk: status $status, expected 2"
grep -q 'the disk is full' full.err || fail "the message does not say that the disk is full"
[ ! -e out-small/ledger.db ] || fail "something was started on a full disk"

rm out-small/.ballast
provoke "$HOLD"
run small
until_true 120 held small 2
cat /dev/zero >out-small/.ballast 2>/dev/null || true
release
finish 3
calm_down
grep -qi 'no space left\|disk is full\|database or disk' small.err || fail "the message does not say why"
rm out-small/.ballast
run small
finish 0
check_complete small

# full while a worker decodes one shot and has made the steps of the next one
rm -rf out-small/* && campaign small 12
decodes() { json small | grep -A1 '"tail": {' | grep decode >/dev/null && json small | grep '"stage": "decode"' | sed -n 2p | grep . >/dev/null; }
provoke "at=decode,step=1,do=hold,until=$WORK/go.tail,once=$WORK/tail"
WORKERS=1 run small
until_true 120 decodes
cat /dev/zero >out-small/.ballast 2>/dev/null || true
touch go.tail
finish 3
calm_down
rm out-small/.ballast
run small
finish 0
check_complete small

mount -o remount,ro "$WORK/out-small"
status=0
"$PROGRAM" run small.yaml --out out-small --workers 2 2>readonly.err || status=$?
[ $status = 2 ] || fail "a read-only folder: status $status, expected 2"
grep -qi 'read-\?only' readonly.err || fail "the message does not say that the folder is read-only: $(cat readonly.err)"
[ "$(number small finished)" = $ROWS ] || fail "what was finished cannot be looked at in a read-only folder"
mount -o remount,rw "$WORK/out-small"
echo "refused, stopped, finished, refused"
