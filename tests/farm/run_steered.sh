#!/usr/bin/env bash
# A campaign steered from outside while it runs, looked at, delivered, and one that somebody else's mpirun starts.
source "$(dirname "$0")/../fault/farm.sh"
MPIEXEC=$4
ROWS=8

campaign steered 12
sed -i $'3s/J\xc3\xbcrgen/J\e]0;t\a\e[2J/' steered.csv # a name that would steer the terminal on which somebody looks at the list
grep -q $'\e' steered.csv || fail "no name with an escape in the table"
provoke "$HOLD"
asked() { events steered request | grep "\"verb\":\"$1\"" >/dev/null; }
run steered
until_true 120 held steered 2
"$PROGRAM" pause out-steered >/dev/null
until_true 60 asked pause
release # what is in work ends, nothing more is handed out: two shots are rendered, and their clips wait
two_rendered() { json steered | grep '"mastered": 2' >/dev/null; }
until_true 120 nobody_works steered
until_true 60 two_rendered
sleep 1
[ "$(number steered finished)" = 0 ] || fail "$(number steered finished) clips were finished while the campaign was paused"
"$PROGRAM" status out-steered | grep 'paused' >/dev/null || fail "status does not say that the campaign is paused"
rm "$WORK/go"
"$PROGRAM" resume out-steered >/dev/null
until_true 120 held steered 2
"$PROGRAM" cancel out-steered >/dev/null
until_true 60 asked cancel
release
finish 75
calm_down
[ "$(number steered finished)" = 2 ] || fail "clips were finished after the campaign was cancelled"
"$PROGRAM" resume out-steered | grep 'the next one takes it up' >/dev/null || fail "resume does not say what happens next"

# a clip that fails wherever it is tried: a folder is where its checkpoint should be written
key=$("$PROGRAM" explain out-steered k7 | sed -n 's/^  shot  *\([0-9a-f]*\),.*/\1/p')
rm -f "out-steered/latents/$key.h5"
mkdir -p "out-steered/latents/$key.h5/in-the-way"
run steered
finish 1
[ "$(number steered failed)" = 2 ] || fail "$(number steered failed) clips failed, expected 2: k7 and k8 share the shot"
[ "$(grep -c ',k7,failed,"*[^,]*latents' out-steered/delivery.csv)" = 1 ] || fail "the list does not say why k7 failed"
[ "$(wc -l <out-steered/delivery.csv)" = 9 ] || fail "the list leaves out the failed rows"
"$PROGRAM" explain out-steered k7 | grep -c ': failed after' | grep 3 >/dev/null || fail "explain does not show three attempts"
rm -r "out-steered/latents/$key.h5"
"$PROGRAM" retry out-steered k7 >/dev/null
run steered
finish 0
check_complete steered

"$PROGRAM" explain out-steered k8 | grep 'shared by 2 clips' >/dev/null || fail "explain does not know that k8 shares its shot"
status=0
"$PROGRAM" explain out-steered nobody 2>nobody.err || status=$?
[ $status = 2 ] || fail "explain of an unknown clip: status $status, expected 2"
status=0
"$PROGRAM" status /nonexistent 2>nobody.err || status=$?
[ $status = 2 ] || fail "status of no folder: status $status, expected 2"

# the list quotes as RFC 4180 says, and keeps the customer's columns first
head -1 out-steered/delivery.csv | grep '^id,name,color,place,clip_id,status,reason,file,thumbnail,sha256,duration_s,width,height,seed,shot,model,reviewer,decided_at,fallbacks,variant,captions,gif,page,disclosure,credentials,watermark$' >/dev/null ||
  fail "columns: $(head -1 out-steered/delivery.csv)"
grep -q '^k1,"Jürgen ""1"", Köln",red,city 1,k1,delivered,,clips/k1.mp4,clips/k1.png,' out-steered/delivery.csv ||
  fail "row: $(sed -n 2p out-steered/delivery.csv)"

"$PROGRAM" check steered.yaml --out out-steered >shown 2>&1 || true
for verb in status "explain k2" deliver dossier inspect; do
  read -r verb clip <<<"$verb"
  "$PROGRAM" "$verb" out-steered ${clip:+"$clip"} >>shown 2>&1 || true
done
[ "$(wc -l <shown)" -gt 20 ] || fail "too little was shown: $(cat shown)"
! grep -rlI $'[\e\a]' shown out-steered --include='*.csv' --include='*.html' --include='*.json*' --include='*.log' --include=metrics* --include=shown |
  grep . || fail "files with bytes that steer a terminal"

# a clip that was changed after it was finished is not delivered
rm -r out-steered/delivery
printf x >>out-steered/clips/k3.mp4
status=0
"$PROGRAM" deliver out-steered >/dev/null 2>deliver.err || status=$?
[ $status = 1 ] || fail "a changed clip: deliver gave $status, expected 1"
grep -q 'k3.mp4.*changed since it was finished' deliver.err || fail "deliver does not name the changed clip"
[ ! -e out-steered/delivery/clips/k3.mp4 ] && [ -e out-steered/delivery/clips/k4.mp4 ] || fail "delivered the wrong files"

# under mpirun, rank 0 coordinates and the others work
campaign plain 10
as_root=()
[ "$(id -u)" != 0 ] || as_root=(--allow-run-as-root)
"$MPIEXEC" "${as_root[@]}" --oversubscribe --bind-to none -n 3 "$PROGRAM" run plain.yaml --out out-plain >plain.err 2>&1 ||
  fail "mpirun: status $?"
check_complete plain
echo "steered, delivered, and under mpirun"
