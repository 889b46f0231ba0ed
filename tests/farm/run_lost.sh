#!/usr/bin/env bash
# Files that get lost: the list and the report are there from the plan on and right after a kill; a file that is damaged or gone costs one
# clip, which is made again; what leaves delivery/ comes back; a folder that is moved away ends the run with 3.
source "$(dirname "$0")/../fault/farm.sh"
ROWS=6
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT
campaign calm 4
run calm
finish 0
check_complete calm
out=out-calm
[ -s $out/delivery/report/index.html ] || fail "no report in the delivery folder"

# what is in a campaign's folder is its owner's alone; what leaves the house is not
[ "$(stat -c %a $out)" = 700 ] || fail "the folder's mode is $(stat -c %a $out)"
open_to_others=$(find $out -path $out/delivery -prune -o ! -type l -perm /077 -print)
[ -z "$open_to_others" ] || fail "others may read: $open_to_others"
[ "$(stat -c %a $out/delivery $out/delivery/clips $out/delivery/delivery.csv $out/delivery/report/index.html | tr '\n' ' ')" = "755 755 644 644 " ] ||
  fail "the modes in delivery/: $(stat -c %a $out/delivery $out/delivery/clips $out/delivery/delivery.csv $out/delivery/report/index.html)"
[ "$(stat -c %i $out/clips/k1.mp4)" = "$(stat -c %i $out/delivery/clips/k1.mp4)" ] || [ "$(stat -c %a $out/delivery/clips/k1.mp4)" = 644 ] ||
  fail "a delivered clip is neither linked nor readable"

list_is_there() { [ -s "out-$1/delivery.csv" ] && [ -s "out-$1/report/index.html" ]; }
lines() { wc -l <"out-$1/delivery.csv"; }
listed() { [ "$(grep -c ",$2," "out-$1/delivery.csv")" -ge "$3" ]; }

# the list and the report of a night that was killed
again killed
provoke "at=denoise,step=2,clip=k4,do=hold,until=$WORK/go"
run killed
until_true 60 list_is_there killed
[ "$(lines killed)" = $((ROWS + 1)) ] || fail "killed: $(lines killed) lines in the first list"
until_true 60 some_done killed 2
until_true 60 listed killed approved 2
mapfile -t all < <(descendants "$LAUNCHER")
kill -KILL "${all[@]}" 2>/dev/null || true
wait "$LAUNCHER" 2>/dev/null || true
calm_down
[ "$(lines killed)" = $((ROWS + 1)) ] || fail "killed: $(lines killed) lines in the list it left"
"$PROGRAM" status out-killed >status.out
grep -q '^no run is going on: `reelwright run killed.yaml --out out-killed`$' status.out || fail "killed: status says $(cat status.out)"
"$PROGRAM" explain out-killed k4 >explain.out
grep -q 'next .*no run is going on: `reelwright run killed.yaml --out out-killed`$' explain.out || fail "killed: explain says $(cat explain.out)"
"$PROGRAM" retry out-killed k4 >retry.out
grep -q '^nothing changes: it is [a-z]*; retry tries failed clips again' retry.out || fail "killed: retry says $(cat retry.out)"
touch go
run killed
finish 0
check_complete killed
same_files calm killed

is_approved() { events "$1" clip.approved | grep "\"clip\":\"$2\"" >/dev/null; } # NAME CLIP

# a sheet removed and a clip damaged while the others are made: both are made again in the same run
again lost
rm -f go
provoke "at=denoise,step=2,clip=k4,do=hold,until=$WORK/go"
run lost
until_true 60 is_approved lost k1
until_true 60 is_approved lost k2
rm out-lost/clips/k1.sheet.*
printf x >>out-lost/clips/k2.mp4
release
finish 0
calm_down
grep -q 'files of 2 clips are missing or damaged; they are made again' lost.err || fail "lost: nothing says that clips were lost"
check_complete_again() { # as check_complete, but two clips were finished twice
  local name=$1
  [ "$(grep -c ',delivered,' "out-$name/delivery.csv")" = $ROWS ] || fail "$name: not $ROWS delivered rows"
  (cd "out-$name" && find clips -name '*.mp4' | sort | xargs sha256sum) >"$name.sums"
  (cd "out-$name/delivery" && find clips -name '*.mp4' | sort | xargs sha256sum) | cmp -s - "$name.sums" || fail "$name: a delivered file differs"
  same_files calm "$name"
}
check_complete_again lost

# a finished campaign: a delivered file removed, one cut, one gone in both places
rm out-lost/delivery/clips/k3.mp4
"$PROGRAM" deliver out-lost >deliver.out 2>>lost.err || fail "deliver: refused"
grep -q '^1 clip .*restored' deliver.out || fail "deliver: $(cat deliver.out)"
rm out-lost/delivery/clips/k4.mp4 out-lost/clips/k4.mp4
: >out-lost/clips/k3.png
: >out-lost/delivery/clips/k3.png
status=0
"$PROGRAM" deliver out-lost >deliver.out 2>deliver.err || status=$?
[ $status = 1 ] || fail "deliver: exit status $status with two lost clips"
grep -q "run lost.yaml --out out-lost\` makes" deliver.err || fail "deliver: $(cat deliver.err)"
listed lost planned 2 || fail "deliver: the lost clips do not stand in the list"
listed lost delivered $((ROWS - 2)) || fail "deliver: the others do not stand in the list"
[ -s out-lost/report/index.html ] || fail "deliver: no report"
run lost
finish 0
check_complete_again lost

# the folder goes away
again moved
rm -f go
provoke "$HOLD"
run moved
until_true 60 held moved 2
mv out-moved elsewhere
release
finish 3
calm_down
grep -q 'moved away or removed' moved.err || fail "moved: nothing says why it ended"
rm -rf out-moved # what workers made anew before the job was ended
mv elsewhere out-moved
run moved
finish 0
check_complete_again moved # what was approved while the folder was away is made again
echo "killed, damaged, removed, moved away: every row stands in the list, and every clip was made"
