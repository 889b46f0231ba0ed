#!/usr/bin/env bash
# One shot for 24 clips: all workers finish. With finishers of their own, workers only render; one of them is killed in the middle of a
# clip, then all of them: the same files. Masters go, or stay where the campaign says so.
source "$(dirname "$0")/../fault/farm.sh"
ROWS=24
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT
campaign shared 4
sed -i 's/{{color}} balloon over {{place}}/a red balloon/; s/renditions: .*/renditions: [preview, master]/' shared.yaml
printf 'keep_masters: true\n' >>shared.yaml
made_by() { events "$1" "$2" | grep -c "\"worker\":$3[,}]" || true; } # NAME EVENT WORKER
files() { (cd "out-$1/clips" && find . -type f | sort | xargs sha256sum) >"$1.files"; }

# every worker waits in the middle of its first clip, so that the quickest cannot make them all
finishing() { [ "$(json "$1" | grep -c '"kind": "finish"')" = "$2" ]; } # NAME WORKERS
provoke "at=finish,step=4,do=hold,until=$WORK/all"
WORKERS=3 run shared
until_true 120 finishing shared 3
touch all
finish 0
calm_down
[ "$(number shared finished)" = $ROWS ] || fail "not all clips are finished"
[ "$(times shared shot.rendered)" = 1 ] || fail "the shot was rendered $(times shared shot.rendered) times"
for worker in 1 2 3; do [ "$(made_by shared clip.approved $worker)" -ge 1 ] || fail "worker $worker finished nothing"; done
[ "$(find out-shared/masters -name '*.mkv' | wc -l)" = 1 ] || fail "the master is not kept"
[ ! -e out-shared/work ] || fail "folders of leases are left over"
files shared

# workers render, finishers finish; status says so while everybody is held
again apart shared
sed -i '/keep_masters/d; s/^seed: .*/seed: "{{number}}"/; s/a red balloon/{{color}} balloon/' apart.yaml
{
  echo id,name,color,number
  for ((i = 1; i <= ROWS; i++)); do echo "k$i,n$i,red,$((i % 3))"; done
} >apart.csv
provoke "at=denoise,step=2,rank=1,do=hold,until=$WORK/go; at=finish,step=4,rank=3,do=kill,once=$WORK/killed"
WORKERS=1 run apart --finishers 2
until_true 120 held apart 1
json apart | tr -d ' \n' | grep '"worker":1,.*"kind":"render".*"renders":true,"finishes":false.*"worker":2,.*"renders":false,"finishes":true' >/dev/null ||
  fail "status does not say who renders and who finishes: $(json apart)"
"$PROGRAM" status out-apart 2>/dev/null | grep '1 render, 0 of 3 shots done; 0 finish, 0 masters' >/dev/null || fail "status does not count them"
release
finish 0
calm_down
[ -s killed ] || fail "no finisher was killed"
[ "$(number apart finished)" = $ROWS ] || fail "not all clips are finished after a finisher's death"
[ "$(made_by apart shot.rendered 1)" = 3 ] || fail "worker 1 did not render all three shots"
[ "$(made_by apart clip.approved 1)" = 0 ] || fail "worker 1 finished clips although a finisher was there"
[ "$(leases apart lost)" = 1 ] || fail "a finisher's death cost more than one lease"
[ -z "$(find out-apart/masters -name '*.mkv')" ] || fail "masters are left over"
files apart

# without any finisher left, the worker finishes what it has rendered
again alone apart
provoke "at=finish,step=4,rank=2,do=kill; at=finish,step=4,rank=3,do=kill"
WORKERS=1 run alone --finishers 2
finish 0
calm_down
[ "$(number alone finished)" = $ROWS ] || fail "not all clips are finished without finishers"
[ "$(made_by alone clip.approved 1)" -ge 1 ] || fail "worker 1 finished nothing"
files alone
cmp apart.files alone.files || fail "the files differ"
echo "one shot for all, each to its own work, and nobody is needed for ever: the same files"
