#!/usr/bin/env bash
# Words of one customer stand in every cell, prompt, spoken text, overlay, code, file name and reviewer's remark of a campaign, their face in the
# trust store. Before they are erased nothing of it is in logs, events, metrics, command lines, environments, or where others can read it;
# afterwards, nothing at all: no word in any form, no piece of any file that was theirs, in the folder, the store, or where programs keep what is
# temporary. Others who share a render or a spoken text keep theirs. An erasure that is killed anywhere goes on when it is asked for again.
HERE=$(cd "$(dirname "$0")" && pwd)
source "$HERE/../fault/farm.sh"
VACE=$(cd "$MODEL/../../vace-0" && pwd)
FACE=$(cd "$MODEL/../../../../.." && pwd)/models/face.png
search() { python3 "$HERE/search.py" "$@"; }
trap 'kill "${LAUNCHER:-}" "${WATCH:-}" 2>/dev/null || true' EXIT
export REELWRIGHT_TRUST=$WORK/trust TMPDIR=$WORK/tmp
mkdir tmp
SINCE=$WORK/since
touch "$SINCE"
temporary() { find /tmp /dev/shm /var/tmp -maxdepth 1 -newer "$SINCE" \( -name 'reelwright*' -o -name '*voice*' -o -name 'etilqs*' \) -user "$(id -u)" 2>/dev/null; }

ffmpeg -v error -y -f lavfi -i testsrc2=s=160x120:d=1 -f lavfi -i sine=d=1 -shortest said.mp4
person() { # ID NAME
  "$PROGRAM" cameo add "$1" --name "$2" --face "$FACE" --voice said.mp4 >/dev/null
  "$PROGRAM" cameo challenge "$1" >/dev/null
  "$PROGRAM" cameo verify "$1" --recording said.mp4 --command true >/dev/null
  "$PROGRAM" cameo grant "$1" --purpose travel --audience anyone --until 2099-12-31 --face --voice >/dev/null
}
person quorra-face "Quorra Person"
person other-face "Somebody Else"
mkdir in
cp "$FACE" in/quorra-photo.png
convert=(ffmpeg -v error -y -i "$FACE" -vf hflip)
"${convert[@]}" in/other.png
width=$(sed -n 's/.*"width": \([0-9]*\).*/\1/p' "$VACE/reference.json" | head -n 1) height=$(sed -n 's/.*"height": \([0-9]*\).*/\1/p' "$VACE/reference.json" | head -n 1)
cat >in/search.yaml <<END
campaign: search
model: $VACE/model
customers: search.csv
prompt: "a traveller at {{place}}"
negative: "not {{dislike}}"
seed: 5
size: ${width}x$height
frames: 17
fps: 8
steps: 4
guidance: 4
references: ["{{photo}}"]
cameo: {id: "{{cameo|}}", purpose: travel}
voice: {text: "Hi {{said}}", language: en, too_long: hold}
subtitles: both
overlays:
  - {text: "{{wish}}", style: plain}
  - {qr: "https://example.org/{{code}}", place: end-card}
variants: {cta: {A: now, B: later}}
label: {profile: eu}
renditions: [preview, reels]
gates: {set: default, exposure: {hold: 1, fail: 300}, flicker: {fail: 1000}, flash: {fail: 1000}, red_flash: {fail: 1000}, frozen: {fail: 60}, black: {fail: 60}, saturated: {fail: 60}, blockiness: {fail: 1000}}
review: {policy: all}
retention: 30d
END
cat >in/search.csv <<'END'
id,name,place,dislike,photo,cameo,said,wish,code,mail,note
quorra-id,Quorra-Name <ü>,Quorra-Place,Quorra-Dislike,quorra-photo.png,quorra-face,Quorraspoken,"Quorra-Wish & ""more""",Quorra-Code,Quorra@example.org,Quorra-Note
twin-1,Twin One,Zanzibar,Rain,other.png,,Twinspoken,Same-Wish,Same-Code,Twin-1@example.org,Twin-Note-1
twin-2,Twin Two,Zanzibar,Rain,other.png,,Twinspoken,Same-Wish,Same-Code,Twin-2@example.org,Twin-Note-2
last,Last,Berlin,Snow,other.png,other-face,Lastspoken,Last-Wish,Last-Code,Last@example.org,Last-Note
END
printf '%s\n' quorra-id Quorra-Name 'Quorra-Name <ü>' Quorra-Place Quorra-Dislike quorra-photo quorra-face Quorraspoken Quorra-Wish 'Quorra-Wish & "more"' Quorra-Code Quorra@example.org Quorra-Note \
  'Quorra Person' >words
grep -vx -e quorra-id -e quorra-face words >cells # ids may stand in events and logs

# ---- a night, watched; its first job is killed in the middle, so that drafts and journals are left over ----
unset REELWRIGHT_PROVOKE
start() { "$PROGRAM" run in/search.yaml --out out-search --workers 2 --threads 1 "$@" 2>>search.err & LAUNCHER=$!; }
provoke "at=encode,step=3,clip=quorra-id,do=kill,once=$WORK/struck; at=encode,step=1,clip=quorra-id,do=hold,until=$WORK/go"
port=$((20000 + $$ % 20000))
start --listen "$port"
search processes cells 60 "$LAUNCHER" >processes.txt & WATCH=$!
encodes() { "$PROGRAM" explain out-search quorra-id 2>/dev/null | grep -q '^  worker .*finish'; }
until_true 90 encodes
python3 - "$port" >metrics.txt <<'END' || true
import sys, urllib.request
for page in 'metrics', '':
    print(urllib.request.urlopen('http://127.0.0.1:%s/%s' % (sys.argv[1], page)).read().decode())
END
[ -s metrics.txt ] || fail "no metrics"
touch go
finish 0
wait "$WATCH"
[ -e struck ] || fail "nobody was killed in the middle of the clip"
calm_down
"$PROGRAM" review reject out-search quorra-id --by Rita --reason "not as in Quorra-Note" >/dev/null
"$PROGRAM" review approve out-search --where state=rejected --by Rita --reason "not as in Quorra-Note" >/dev/null 2>&1 || "$PROGRAM" review approve out-search quorra-id --by Rita --reason "not as in Quorra-Note" >/dev/null
"$PROGRAM" review approve out-search --where state=held --by Rita >/dev/null
"$PROGRAM" deliver out-search >deliver.txt 2>&1
"$PROGRAM" dossier out-search >/dev/null
[ "$(grep -c ',delivered,' out-search/delivery.csv)" = 4 ] || fail "not all are delivered"

# ---- before ----
[ -s processes.txt ] && fail "on a command line or in an environment: $(cat processes.txt)"
found=$(search words cells metrics.txt search.err deliver.txt out-search/events.jsonl out-search/audit.jsonl out-search/logs $(ls out-search/*.log 2>/dev/null) out-search/latents out-search/masters)
[ -z "$found" ] || fail "before the erasure: $found"
open=$(find out-search trust -type f -perm /077 ! -path '*/delivery/*')
[ -z "$open" ] || fail "others can read: $open"
[ "$(stat -c %a out-search)" = 700 ] || fail "others can look into the folder"
[ -n "$(search words words out-search)" ] || fail "nothing is there before: the search proves nothing"
for word in Quorra-Name Quorra-Place Quorraspoken Quorra-Wish Quorra-Code; do
  echo $word >one; [ -n "$(search words one out-search)" ] || echo "note: $word is nowhere before" >&2
done
key() { "$PROGRAM" explain out-search "$1" | sed -n 's/.*\([0-9a-f]\{64\}\).*/\1/p' | head -n 1; }
shot=$(key quorra-id)
mine=$(find out-search -type f \( -name 'quorra-id.*' -o -name "$shot*" \))
for f in out-search/shared/* out-search/voices/*; do [ -f "$f" ] && mine+=" $f"; done
search keep all-pieces $mine
others=$(find out-search -type f \( -name 'twin-*' -o -name 'last.*' \))
search pieces all-pieces $others >/dev/null
python3 - all-pieces pieces $others <<'END' # what is in others' files too (tables of a codec, a label's picture) tells nothing
import sys
data = open(sys.argv[1], 'rb').read()
others = b'\0'.join(open(f, 'rb').read() for f in sys.argv[3:])
with open(sys.argv[2], 'wb') as out:
    for i in range(0, len(data), 48):
        if data[i:i + 48] not in others: out.write(data[i:i + 48])
END
[ "$(stat -c %s pieces)" -gt 2000 ] || fail "too few pieces to search for"
(cd out-search/delivery/clips && sha256sum twin-* last.*) >others.sums

# ---- killed on the way, wherever: asked again, it goes on ----
rm -rf base && cp -a out-search base
gone() { # WHICH: nothing is found in out-search any more
  local found
  found=$(search words words out-search tmp trust/log.jsonl $(temporary)) || true
  [ -z "$found" ] || fail "$1: left: $found"
  found=$(search pieces pieces out-search tmp $(temporary))
  [ -z "$found" ] || fail "$1: pieces of files are left: $found"
  (cd out-search/delivery/clips && sha256sum twin-* last.*) | cmp - others.sums || fail "$1: others' clips are not what they were"
  "$PROGRAM" verify out-search --json | grep -q '"audit": "whole"' || fail "$1: the audit log is not whole"
  [ "$(grep -c ',erased,' out-search/delivery.csv)" = 1 ] || fail "$1: no tombstone"
  [ "$(grep -c ',delivered,' out-search/delivery.csv)" = 3 ] || fail "$1: others are not delivered any more"
}
left=$(mktemp -d /tmp/reelwright-voice-XXXXXX) # by a check that was killed while it had the row's text said
echo Quorraspoken >"$left/said.wav"
"$PROGRAM" erase out-search quorra-id --by Rita >erase.txt
[ ! -e "$left" ] || fail "what a killed check had said is left in $left"
gone "erased"
! grep -qa Quorra erase.txt || fail "erase prints what it erased"
for point in after.erase publish.jsonl after.close publish.csv; do
  rm -rf out-search && cp -a base out-search
  code=0
  REELWRIGHT_PROVOKE="at=$point,do=kill,once=$WORK/once.$point" "$PROGRAM" erase out-search quorra-id --by Rita >/dev/null 2>&1 || code=$?
  [ -e "once.$point" ] || continue
  [ $code = 137 ] || fail "$point: status $code, expected a kill"
  "$PROGRAM" erase out-search quorra-id --by Rita >/dev/null || fail "$point: asked again: status $?"
  gone "killed at $point"
  echo "killed at $point: asked again, all is gone"
done
"$PROGRAM" erase out-search quorra-id >again.txt && grep -q "erased before" again.txt || fail "erased once more: $(cat again.txt)"

# ---- one of two who share a render and a spoken text ----
"$PROGRAM" erase out-search twin-1 --by Rita >/dev/null
printf '%s\n' twin-1 'Twin One' Twin-1@example.org Twin-Note-1 >twin
found=$(search words twin out-search tmp)
[ -z "$found" ] || fail "of twin-1 is left: $found"
(cd out-search/delivery/clips && sha256sum twin-2* last.*) | cmp - <(grep -v twin-1 others.sums) || fail "the other twin's clips are not what they were"
grep -q 'Twinspoken' out-search/delivery.csv || fail "the other twin's cells went too"

# ---- a person takes everything back: from the store, and from every campaign that used it ----
"$PROGRAM" cameo revoke other-face --erase >revoke.txt
printf '%s\n' other-face 'Somebody Else' Last-Wish Last-Code Last@example.org >others
found=$(search words others out-search trust tmp)
[ -z "$found" ] || fail "of a person who took everything back is left: $found"
[ -z "$(find out-search -name 'last.*')" ] || fail "their clip is left"

# ---- what is past its retention ----
"$PROGRAM" expire out-search --older-than 0h --by Rita >/dev/null
printf '%s\n' twin-2 'Twin Two' Twin-2@example.org Twin-Note-2 Twinspoken Zanzibar >twin
found=$(search words twin out-search tmp)
[ -z "$found" ] || fail "past its retention, and left: $found"
no_media() { [ -z "$(find out-search/clips out-search/delivery/clips out-search/masters out-search/latents out-search/shared out-search/voices out-search/work -type f 2>/dev/null)" ] || fail "$1"; }
no_media "media are left"

# ---- whose row is still in the table does not come back: refused, and nothing but the id is taken in ----
sed -i '2s/Quorra-Note/Quorra-Other/' in/search.csv
printf '%s\n' Quorra-Other >>cells
"$PROGRAM" check in/search.yaml --out out-search --json 2>/dev/null | python3 -c '
import json, sys
r = {x["id"]: x["reason"] for x in json.load(sys.stdin)["refusals"]}
assert len(r) == 4 and all("was erased" in w for w in r.values()), r' || fail "check refuses others"
for how in "" --update; do
  # shellcheck disable=SC2086
  "$PROGRAM" run in/search.yaml --out out-search --workers 1 $how 2>again.err || fail "run $how: status $?: $(cat again.err)"
  [ "$(grep -c 'refused,"*this customer was erased' out-search/delivery.csv)" = 4 ] || fail "run $how: $(cat out-search/delivery.csv)"
  [ "$(number search clips) $(number search refused)" = "4 4" ] || fail "run $how: whoever was erased and is in the table counts twice: $("$PROGRAM" status out-search --json)"
  no_media "run $how: media have come back"
  found=$(search words cells out-search tmp)
  [ -z "$found" ] || fail "run $how: has come back: $found"
done
echo fine
