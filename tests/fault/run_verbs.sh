#!/usr/bin/env bash
# The verbs that steer, and who takes their requests up, killed before and after each commit: the ledger is whole, what it says is what
# it said before or what the undisturbed verb leaves behind, and the verb run again ends in the latter. First with nothing going on,
# when the launcher takes requests up; then with a coordinator at work.
source "$(dirname "$0")/farm.sh"
ROWS=4
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT

# ---- nothing goes on ----

says() { # FOLDER: what a verb may change, and that SQLite finds the file whole
  python3 - "$1" <<'PY'
import sqlite3, sys
db = sqlite3.connect("file:%s/ledger.db?mode=ro" % sys.argv[1], uri=True)
for sql in ("PRAGMA integrity_check", "SELECT control, priority, pilot FROM campaign", "SELECT clip_id, state, reason FROM clips",
            "SELECT shot, state, retried, reason FROM shots", "SELECT * FROM counts WHERE n <> 0",
            "SELECT state, count(*) FROM clips GROUP BY state", "SELECT state, count(*) FROM shots GROUP BY state"):
    for row in db.execute(sql): print(*row)
PY
}
launch() { # FOLDER CAMPAIGN POINT: the launcher takes requests up and dies there
  local status=0
  { REELWRIGHT_PROVOKE="at=$3,do=kill" "$PROGRAM" run "$2.yaml" --out "$1" --workers 2 || status=$?; } 2>>"$2.err"
  [ $status = 137 ] || fail "$1: nobody died at $3 (status $status)"
}
ask() { "$PROGRAM" ${VERB//DIR/$1} >asked.txt 2>>ask.err || fail "$VERB: refused"; } # FOLDER
ask_and_die() {                                                                      # FOLDER POINT
  local status=0
  { REELWRIGHT_PROVOKE="at=$2,do=kill" "$PROGRAM" ${VERB//DIR/$1} >/dev/null || status=$?; } 2>>ask.err
  [ $status = 137 ] || fail "$VERB: nobody died at $2"
}
expect() { # FOLDER FILE WHEN
  says "$1" >now.txt
  cmp -s now.txt "$2" || fail "$VERB, $3: $(diff "$2" now.txt)"
}

verb() { # BASE VERB POINT: a change in the commit that takes it up
  local base=$1 folder=out-verb point=$3
  VERB=$2
  rm -rf calm-verb $folder
  cp -r "out-$base" calm-verb
  cp -r "out-$base" $folder
  says calm-verb >before.txt
  ask calm-verb
  launch calm-verb "$base" after.close
  says calm-verb >after.txt
  ! cmp -s before.txt after.txt || fail "$VERB changes nothing"

  ask_and_die $folder before.ask
  expect $folder before.txt "killed before it asked"
  ask_and_die $folder after.ask
  launch $folder "$base" "before.$point"
  expect $folder before.txt "killed before.$point"
  launch $folder "$base" "after.$point"
  expect $folder after.txt "killed after.$point"
  ask $folder
  grep -q 'nothing changes' asked.txt || launch $folder "$base" after.close # else nobody has anything to take up
  expect $folder after.txt "asked again"
}

campaign fresh 2
launch out-fresh fresh after.plan
for base in piloted paused stopped cancelled; do again $base fresh; done
printf 'pilot: 2\n' >>piloted.yaml
for base in piloted paused stopped cancelled; do launch out-$base $base after.plan; done
begin() { VERB=$2 && ask "out-$1" && launch "out-$1" "$1" after.close; }
begin paused "pause DIR k1"
begin stopped "pause DIR"
begin cancelled "cancel DIR --where id!=k2"
campaign poor 2
provoke "at=text,clip=k1,do=fail.clip;at=text,clip=k3,do=fail.clip"
run poor
finish 1
calm_down

verb fresh "pause DIR k1" hold
verb fresh "pause DIR --where color=red" pause
verb fresh "pause DIR" request
verb paused "resume DIR k1" release
verb stopped "resume DIR" request
verb fresh "cancel DIR k2" cancel
verb fresh "cancel DIR" request
verb cancelled "resume DIR --where id!=k2" resume
verb poor "retry DIR" release
verb poor "retry DIR k3" retry
verb fresh "priority DIR 7" request
verb piloted "pilot approve DIR" request
verb piloted "pilot reject DIR" request

# ---- a coordinator is at work, with both workers in the middle of a shot ----

is() { "$PROGRAM" explain "out-$1" "$2" | grep "^clip $2: $3" >/dev/null; } # NAME CLIP STATE
is_made() { "$PROGRAM" explain "out-$1" "$2" | grep '^  worker .*denoise' >/dev/null; }
jobs() { [ "$(times "$1" job.started)" -ge "$2" ]; } # NAME COUNT
asked() { # NAME VERB CLIP STATE: rank 0 dies as it takes this up; what was asked for stands all the same
  local before
  before=$(times "$1" job.started)
  VERB="$2 DIR $3"
  ask "out-$1"
  until_true 60 test -s "$WORK/$1.$2"
  until_true 60 jobs "$1" $((before + 1))
  until_true 60 is "$1" "$3" "$4"
}

ROWS=6
campaign calm 5
run calm
finish 0
check_complete calm
live() { # NAME PAUSE CANCEL RETRY MASTERED: whether rank 0 dies before or after each; k5 and k6 share a shot
  local name=$1 point orders
  again "$name"
  rm -f go go5
  orders="$HOLD; at=denoise,step=4,clip=k5,do=hold,until=$WORK/go5; at=text,clip=k1,do=fail.clip,once=$WORK/$name.failed"
  for point in "$2.pause" "$3.cancel" "$4.retry"; do
    orders+="; at=$point,rank=0,do=kill,once=$WORK/$name.${point#*.}"
  done
  orders+="; at=$5.mastered,step=4,rank=0,do=kill,once=$WORK/$name.mastered" # after the three before it
  provoke "$orders"
  run "$name"
  until_true 60 held "$name" 2
  asked "$name" pause k6 paused
  until_true 60 held "$name" 2
  asked "$name" cancel k4 cancelled
  release # all but k5
  until_true 60 is "$name" k1 failed
  until_true 60 is_made "$name" k5
  asked "$name" retry k1 ''
  until_true 60 is_made "$name" k5
  VERB="resume DIR k6" && ask "out-$name"
  until_true 60 is "$name" k6 planned
  touch go5
  finish 0
  calm_down
  [ -s "$name.mastered" ] || fail "$name: nobody died when a shot got its master"
  [ "$(grep -c ',delivered,' "out-$name/delivery.csv")" = 5 ] || fail "$name: not all but k4 are delivered"
  [ "$(times "$name" clip.approved)" -le 5 ] || fail "$name: a clip was finished twice"
  (cd "out-$name" && find clips -name '*.mp4' | sort | xargs sha256sum) >"$name.sums"
  grep -v clips/k4.mp4 calm.sums | cmp - "$name.sums" || fail "$name: the clips differ"
}
live one before after before after
live two after before after before
echo "thirteen verbs killed before and after their commits, the coordinator at eight that took them up"
