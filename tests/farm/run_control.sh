#!/usr/bin/env bash
# Single clips and those that meet a condition, a pilot, too many failures, two campaigns in one farm; what is told of it.
source "$(dirname "$0")/../fault/farm.sh"
ROWS=6
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT # a test that fails leaves nothing running

waits_for() { [ "$(json "$1" | sed -n 's/^  "waits_for": "\(.*\)",/\1/p')" = "$2" ]; }
explains() { "$PROGRAM" explain "out-$1" "$2" | grep "$3" >/dev/null; } # not -q: what is written after its end would be a failure
get() { python3 -c 'import sys, urllib.request as u; print(u.urlopen("http://127.0.0.1:%s%s" % tuple(sys.argv[1:])).read().decode())' "$@"; }

# two clips first, then somebody says yes; k3 is cancelled in the middle of its render; k5 and k6 (one shot) are paused for a while
campaign night 4
printf 'pilot: 2\nnotify: {command: "cat >>%s/told", events: [pilot.ready, run.waiting, run.finished]}\n' "$WORK" >>night.yaml
provoke "at=denoise,step=2,clip=k3,do=hold,until=$WORK/go"
run night --listen 0
until_true 60 waits_for night approval
[ "$(number night finished)" = 2 ] || fail "$(number night finished) clips of the pilot, expected 2"
explains night k4 "waits for the pilot's approval" || fail "explain k4 does not say what it waits for"
"$PROGRAM" status out-night | grep 'the pilot waits for approval' >/dev/null || fail "status does not say what is waited for"
"$PROGRAM" pilot list out-night | grep '^  k2 .*clips/k2.mp4' >/dev/null || fail "the pilot's clips are not listed"
port=$(sed -n 's|.*status page: http://127.0.0.1:\([0-9]*\)/?token=[0-9a-f]*$|\1|p' night.err)
get "$port" /metrics >metrics.txt
grep -q '^reelwright_waiting{campaign="night"} 1$' metrics.txt || fail "the metrics do not say that it waits"
get "$port" / >page.html
grep -q 'pilot approve' page.html || fail "the page does not say what to do"
"$PROGRAM" pause out-night --where 'place=city 5' | grep 'pause, 2 of 2 clips' >/dev/null || fail "not the clips of city 5"
"$PROGRAM" pilot approve out-night >/dev/null
k3_works() { explains night k3 '^  worker .*denoise'; }
until_true 60 k3_works
until_true 60 some_done night 3
"$PROGRAM" cancel out-night k3 >/dev/null
until_true 60 explains night k3 '^clip k3: cancelled'
release
until_true 60 waits_for night resume
explains night k6 'resume out-night k6' || fail "explain k6 does not say how it goes on"
"$PROGRAM" resume out-night --where state=paused >/dev/null
finish 0
[ "$(grep -c ',delivered,' out-night/delivery.csv)" = 5 ] || fail "not 5 clips were delivered"
grep -q '^k3,.*,k3,cancelled,cancelled,' out-night/delivery.csv || fail "the list does not say that k3 was cancelled"
for event in pilot.ready run.waiting run.finished; do
  [ "$(grep -c "\"event\":\"$event\"" told)" = 1 ] || fail "$event was told $(grep -c "\"event\":\"$event\"" told) times"
done
grep -q 'finished.*the command was run' out-night/logs/notify.log || fail "the log of notifications is not kept"
key=$("$PROGRAM" explain out-night k4 | sed -n 's/^  shot  *\([0-9a-f]*\),.*/\1/p')
grep -q 'rendered: 4 steps' "out-night/logs/$key.log" || fail "k4 has no log of its render"
grep -q "logs/$key.log" out-night/report/index.html || fail "the report has no link to it"
explains night k4 'rendered: 4 steps' || fail "explain does not show the log"

# bad words
for words in "pause out-night nobody" "pause out-night --where colour=red" "cancel out-night --where state=gone" "retry out-night --where name=x" \
  "priority out-night 101" "pilot maybe out-night"; do
  status=0
  "$PROGRAM" $words >/dev/null 2>words.err || status=$?
  [ $status = 2 ] || fail "$words: status $status, expected 2"
done
rm words.err

# a run in a batch job does not wait for a person
campaign batch 2
printf 'pilot: 1\n' >>batch.yaml
calm_down
SLURM_JOB_ID=1 run batch
finish 3
grep -q 'waits for approval' batch.err || fail "the run ended without saying what for"
"$PROGRAM" pilot approve out-batch | grep 'the next one takes it up' >/dev/null || fail "approve does not say what happens next"
SLURM_JOB_ID=1 run batch
finish 0
check_complete batch

# nothing is left to steer: each verb says so
in_vain() { "$PROGRAM" "$1" out-batch | grep "^nothing changes: $2" >/dev/null || fail "$1 of a finished campaign does not say: $2"; }
in_vain pause 'no clip is left to be made'
in_vain cancel 'no clip is left to be made'
in_vain resume 'the campaign is neither paused nor cancelled'
in_vain retry 'none has failed'

# too much fails
campaign poor 2
provoke "at=text,clip=k1,do=fail.clip;at=text,clip=k2,do=fail.clip;at=text,clip=k3,do=fail.clip"
run poor --max-fails 1
finish 3
grep -q 'clips failed, and at most 1 may (max_fails): k[123], k[123]' poor.err || fail "it does not say which clips failed"
happened poor run.max_fails || fail "no event of it"
calm_down
"$PROGRAM" retry out-poor --where state=failed >/dev/null
run poor --max-fails 1
finish 0
check_complete poor

# two campaigns: the one that becomes more important takes the farm over, in the middle of a shot
rm -f go
campaign low 4
campaign high 4 8
printf 'priority: -5\n' >>high.yaml
mkdir both
ln -s both/low out-low
ln -s both/high out-high
provoke "$HOLD"
"$PROGRAM" run low.yaml high.yaml --out both --workers 2 2>both.err &
LAUNCHER=$!
both_hold() { [ "$(workers_busy "$1")" = 2 ]; }
until_true 60 both_hold low
"$PROGRAM" priority both/high 9 >/dev/null
until_true 60 both_hold high
nobody_works low || fail "two campaigns work at once"
grep -q 'a campaign of higher priority is ready' both.err || fail "it does not say why low was stopped"
release
finish 0
check_complete low
check_complete high
[ "$("$PROGRAM" status both/* --json | grep -c '"finished": 6')" = 2 ] || fail "status does not show both campaigns"
[ "$(times low job.started)" = 2 ] && [ "$(times high job.started)" = 1 ] || fail "the turns were not low, high, low"
echo "steered clip by clip, piloted, stopped by failures, and by turns"
