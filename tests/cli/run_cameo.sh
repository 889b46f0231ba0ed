#!/usr/bin/env bash
# run_cameo.sh PROGRAM FACE FOLDER: a cameo's life by the program's verbs: added from a photo and from a video that is blurred at
# first, verified within limits, on a terminal and on a page, granted, shown, exported, revoked, erased; nothing of it readable on the disk.
set -euo pipefail
program=$1 face=$2 folder=$3 test=$(realpath "$0")
rm -rf "$folder" && mkdir -p "$folder" && cd "$folder"
export REELWRIGHT_TRUST=$PWD/trust
fail() { echo "FAILED: $*"; exit 1; }
expect() { grep -qE "$2" "$1" || { cat "$1"; fail "expected \"$2\" in $1"; }; }
refuse() { # PATTERN COMMAND...: exit status 2 and a message
  local pattern=$1 code=0; shift
  "$@" >out.txt 2>&1 || code=$?
  [ $code = 2 ] || { cat out.txt; fail "status $code, expected 2: $*"; }
  expect out.txt "$pattern"
}
video() { ffmpeg -v error -y "$@"; }
video -f lavfi -i "testsrc2=s=320x240:d=2,boxblur=10" -f lavfi -i testsrc2=s=320x240:d=1 -filter_complex '[0][1]concat=n=2' blurred.bin.mkv
video -f lavfi -i testsrc2=s=160x120:d=1 -f lavfi -i sine=d=1 -shortest said.mp4
mv blurred.bin.mkv blurred.txt # the content says what it is
echo "Secret-Photo-Words" >not-a-picture.png

refuse 'no trust store there' "$program" cameo list
refuse 'no picture' "$program" cameo add anna --name Anna --face not-a-picture.png
refuse 'does not lie in' "$program" cameo add anna --name Anna --face "$face" --crop 1000,0,64,64
"$program" cameo add anna --name "Anna Beispiel" --face "$face" >out.txt
"$program" cameo add ben --name Ben --video blurred.txt --picture ben.png >out.txt
! grep -q 'frame at [01]\.' out.txt || { cat out.txt; fail "a blurred frame was taken"; }
expect out.txt 'frame at 2\.'
[ "$(stat -c %a ben.png)" = 600 ] || fail "the picture of the faces is readable by others"

code_of() { "$program" cameo challenge "$1" | sed -n 's/^The code is \([0-9]*\);.*/\1/p'; }
code=$(code_of anna)
[ ${#code} = 6 ] || fail "no code"
"$program" cameo grant anna --purpose summer --audience named --for c1 --territory de --until 2099-12-31 --face >out.txt 2>&1
expect out.txt 'not verified yet'
refuse 'has no sound' "$program" cameo verify anna --recording blurred.txt --by Rita --passcode "$code"
refuse 'not the passcode; 4 attempts' "$program" cameo verify anna --recording said.mp4 --by Rita --passcode "x$code"
refuse 'not accepted; 3 attempts' "$program" cameo verify anna --recording said.mp4 --command 'exit 1'
"$program" cameo verify anna --recording said.mp4 --by Rita --passcode "$code" >out.txt
refuse 'was used' "$program" cameo verify anna --recording said.mp4 --by Rita --passcode "$code"
code_of ben >/dev/null
"$program" cameo verify ben --recording said.mp4 --command 'grep -q "\"name\":\"Ben\".*\"passcode\":\"[0-9]*\".*said.mp4"' >out.txt
expect out.txt 'ben is verified by command'

# on a page: never written to a disk, asked for once, the code not shown
page() { python3 "$(dirname "$test")/judge_page.py" "$program" "$@"; }
refuse 'expected no --command' "$program" cameo verify ben --recording said.mp4 --page --command true
page anna said.mp4 "$(code_of anna)" --reject 2>out.txt || { cat out.txt; fail "rejected on the page"; }
expect out.txt 'not accepted; 4 attempts'
page anna said.mp4 "$(code_of anna)" || fail "the page"
page anna said.mp4 "$(code_of anna)" --browser page.png || fail "the page in a browser"

refuse 'territory XX' "$program" cameo grant ben --purpose p --until 2099-01-01 --face --territory xx
refuse 'date that is still to come' "$program" cameo grant ben --purpose p --until 2001-01-01 --face
refuse 'expected a date' "$program" cameo grant ben --purpose p --until tomorrow --face
refuse 'expected --face, --voice or both' "$program" cameo grant ben --purpose p --until 2099-01-01
"$program" cameo list --json >list.json
python3 - <<'EOF'
import json
anna, ben = json.load(open('list.json'))
assert anna['id'] == 'anna' and anna['face'] and not anna['voice'] and anna['verified_by'] == 'Rita' and anna['verified_at'], anna
c = anna['consents'][0]
assert (c['number'], c['purpose'], c['audience'], c['territories'], c['until'], c['face'], c['voice'], c['state']) == \
       (1, 'summer', 'named', ['DE'], '2099-12-31', True, False, 'granted'), c
assert ben['consents'] == [], ben
EOF
"$program" cameo show anna >out.txt
expect out.txt 'Consent 1 of Anna Beispiel'
expect out.txt 'bis einschließlich 31.12.2099'
expect out.txt 'reelwright cameo revoke anna --consent 1'
"$program" cameo export anna --out export >out.txt
cmp -s export/recording-1.mp4 said.mp4 || fail "the recording is not what was given"
[ -s export/face-1.png ] && [ -s export/agreements.txt ] || fail "the export lacks something"
"$program" cameo check >out.txt
[ -z "$(find trust \( -type f ! -perm 600 -o -type d ! -perm 700 \))" ] || fail "the store is readable by others"
medium='\x89PNG\r|ftyp(isom|mp4)' # so long that no cipher text holds it by chance
for f in said.mp4 export/face-1.png; do LC_ALL=C grep -qaP "$medium" $f || fail "$f is no medium: the search proves nothing"; done
! LC_ALL=C grep -rqaP "$medium" trust || fail "a medium lies open in the store"
"$program" cameo rotate >out.txt
"$program" cameo revoke anna --consent 1 >out.txt
"$program" cameo list >out.txt
expect out.txt '1 revoked'
grep -rqa anna trust || fail "nothing of anna was there before: the search proves nothing"
"$program" cameo revoke anna --erase >out.txt
! grep -rqa anna trust || fail "something of anna is left"
"$program" cameo check >out.txt
expect out.txt '1 cameo, 0 consents'
echo fine
