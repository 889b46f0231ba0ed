#!/usr/bin/env bash
# From the gates to people's word and the proof in every file: held, approved, rejected, rendered again, delivered, verified.
source "$(dirname "$0")/../fault/farm.sh"
KEYS=$PWD/keys
trap 'kill "${LAUNCHER:-}" "${PAGE:-}" 2>/dev/null || true' EXIT

field() { python3 -c 'import json,sys; v=json.load(sys.stdin)
for k in sys.argv[1].split("."): v = v[int(k)] if k.isdigit() else v[k]
print(json.dumps(v) if isinstance(v,(bool,type(None),dict,list)) else v)' "$1"; }
state_of() { "$PROGRAM" review list "out-$1" --all --json | python3 -c 'import json,sys; print([c["state"] for c in json.load(sys.stdin) if c["clip"]==sys.argv[1]][0])' "$2"; }

"$PROGRAM" keys init "$KEYS" >/dev/null
cat >customers.csv <<END
id,colour
k1,red
k2,green
k3,blue
END
cat >show.yaml <<END
campaign: show
model: $MODEL
customers: customers.csv
prompt: "a {{colour}} balloon"
seed: 3
steps: 2
size: 32x48
frames: 9
fps: 8
renditions: [preview]
gates: {set: default, exposure: {hold: 1, fail: 300}, flicker: {fail: 1000}, flash: {fail: 1000}, red_flash: {fail: 1000}, frozen: {fail: 60}, black: {fail: 60}, saturated: {fail: 60}, blockiness: {fail: 1000}}
review: {policy: all}
watermark: true
END
credentials=no
if [ -e "${C2PA:-}" ]; then
  credentials=yes
  printf 'credentials: {certificate: %s/chain.pem, key: %s/signer.pem}\n' "$KEYS" "$KEYS" >>show.yaml
else
  echo "without credentials: libc2pa_c.so is not installed (./quickstart.sh build does it)"
fi
"$PROGRAM" run show.yaml --out out-show --workers 1 --quiet 2>show.err || fail "the run: $(cat show.err)"
[ "$(number show left)" = 0 ] || fail "something is left to do"
[ "$(state_of show k1)" = held ] || fail "k1 is $(state_of show k1), expected held: the gate holds all"
"$PROGRAM" review list out-show --json | field 0.held_by | grep exposure >/dev/null || fail "the list does not say which gate holds it"
[ ! -e out-show/delivery/clips ] || [ -z "$(ls out-show/delivery/clips)" ] || fail "something was delivered without a word"
status_is 2 "$PROGRAM" review reject out-show k2 --by eva 2>reason.err
grep -q -- '--reason' reason.err || fail "rejecting without a reason: $(cat reason.err)"
status_is 2 "$PROGRAM" review approve out-show nobody --by eva 2>nobody.err
grep -q nobody nobody.err || fail "approving a clip that is none: $(cat nobody.err)"
[ "$("$PROGRAM" review list out-show --where gate=exposure --where colour=green --json | field 0.clip)" = k2 ] || fail "the list has no conditions"
"$PROGRAM" review approve out-show k1 --by eva --json | field changed | grep -x 1 >/dev/null || fail "cannot approve"
"$PROGRAM" review approve out-show k1 --by jo | grep 'nothing to do' >/dev/null || fail "approved twice, or no word about it"
status_is 2 "$PROGRAM" review approve out-show --by eva --where colour=purple 2>purple.err
status_is 2 "$PROGRAM" review reject out-show k1 --by $'\xff' --reason x 2>name.err
"$PROGRAM" review reject out-show k1 --by jo --reason "was wrong" >/dev/null && "$PROGRAM" review reopen out-show k1 --by jo >/dev/null || fail "cannot take back"
[ "$(state_of show k1)" = held ] || fail "k1 is $(state_of show k1) after its rejection was taken back"
"$PROGRAM" review approve out-show k1 --by eva >/dev/null || fail "cannot approve again"
"$PROGRAM" review reject out-show k2 --by eva --reason "too green" >/dev/null || fail "cannot reject"
seed() { grep "^$1," out-show/delivery.csv | cut -d, -f13; }
before=$(seed k3)
"$PROGRAM" review rerender out-show k3 --by jo --reason "again" >/dev/null || fail "cannot order another render"
[ -s out-show/earlier/k3.mp4 ] || fail "the earlier version was not kept"
"$PROGRAM" run show.yaml --out out-show --workers 1 --quiet 2>show.err || fail "the second run: $(cat show.err)"
cmp -s out-show/earlier/k3.mp4 out-show/clips/k3.mp4 && fail "the new version is the earlier one"
[ "$(seed k3)" != "$before" ] || fail "k3 was rendered with the same seed"
"$PROGRAM" review approve out-show --where state=held --by jo >/dev/null || fail "cannot approve many"
[ ! -e out-show/earlier/k3.mp4 ] || fail "the earlier version stays after the decision"
"$PROGRAM" deliver out-show >/dev/null || fail "cannot deliver"
python3 - out-show/audit.jsonl <<'END' || fail "the audit chain does not hold what was decided: $(cat out-show/audit.jsonl)"
import json, sys
said = [(x["verb"], x["by"], x.get("reason", "")) for x in map(json.loads, open(sys.argv[1])) if x["what"] == "review"]
expected = [("approve", "eva", ""), ("reject", "jo", "was wrong"), ("reopen", "jo", ""), ("approve", "eva", ""), ("reject", "eva", "too [..]"),
            ("rerender", "jo", "again"), ("approve", "jo", "")]
sys.exit(said != expected)
END
grep -q '^k2,green,k2,rejected,too green,' out-show/delivery.csv || fail "the list does not say why k2 is out"
grep -q '^k1,red,k1,delivered,.*,eva,' out-show/delivery.csv || fail "the list does not say who approved k1"
[ -e out-show/delivery/clips/k3.mp4 ] && [ ! -e out-show/delivery/clips/k2.mp4 ] || fail "not k1 and k3 were delivered"
[ "$(stat -c %a out-show/watermark.key)" = 600 ] || fail "others can read the watermark's key"

# a noted approval can be taken back: then it counts no more
sed -e 's/^campaign:.*/campaign: pair/' -e 's/policy: all/policy: all, four_eyes: true/' -e '/^gates:/d' -e '/^watermark:/d' -e '/^credentials:/d' show.yaml >pair.yaml
"$PROGRAM" run pair.yaml --out out-pair --workers 1 --quiet 2>pair.err || fail "the run for two: $(cat pair.err)"
"$PROGRAM" review reopen out-pair k1 --by al | grep 'nothing to do' >/dev/null || fail "reopened what nobody has decided"
"$PROGRAM" review approve out-pair k1 --by al --json | grep '"noted": 1' >/dev/null || fail "the first approval is not noted"
"$PROGRAM" review reopen out-pair k1 --by al --json | grep '"changed": 1' >/dev/null || fail "the noted approval cannot be taken back"
"$PROGRAM" review approve out-pair k1 --by bo --json | grep '"noted": 1' >/dev/null || fail "the approval that was taken back counts"
[ "$(state_of pair k1)" = "in review" ] || fail "k1 is $(state_of pair k1) after one approval"
[ "$(grep -o '"verb":"[a-z]*"' out-pair/audit.jsonl | tr '\n' ' ')" = '"verb":"approve" "verb":"reopen" "verb":"approve" ' ] || fail "the audit chain does not say that it was taken back: $(cat out-pair/audit.jsonl)"

# a sample: nothing is delivered before all of it is decided, also not by `deliver`
sed -e 's/^campaign:.*/campaign: lot/' -e 's/policy: all/policy: sample, lq: 20/' -e '/^gates:/d' -e '/^watermark:/d' -e '/^credentials:/d' show.yaml >lot.yaml
"$PROGRAM" run lot.yaml --out out-lot --workers 1 2>lot.err || fail "the run of a lot: $(cat lot.err)"
grep -q 'nothing is delivered; list in' lot.err || fail "the run speaks of delivered clips: $(cat lot.err)"
"$PROGRAM" review approve out-lot k1 k2 --by eva >/dev/null || fail "cannot approve of a sample"
"$PROGRAM" deliver out-lot | grep 'before the sample is decided: 1 clip waits for a decision' >/dev/null || fail "deliver does not say what it waits for"
[ "$(grep -c ',approved,' out-lot/delivery.csv)" = 2 ] || fail "delivered before the sample was decided: $(cat out-lot/delivery.csv)"
"$PROGRAM" review approve out-lot k3 --by eva | grep '`reelwright deliver out-lot` delivers' >/dev/null || fail "nothing says that it can be delivered now"
"$PROGRAM" deliver out-lot | grep '^3 clips in' >/dev/null || fail "not delivered after the sample was decided"
status_is 2 "$PROGRAM" review reopen out-lot k1 --by eva 2>late.err
grep -q 'k1" is delivered, and reopen is for clips that are approved or rejected and not delivered' late.err || fail "reopen of a delivered clip: $(cat late.err)"

# which clip it is, by each layer alone
"$PROGRAM" verify out-show --json | field wrong | grep '^\[\]$' >/dev/null || fail "verify DIR finds something wrong"
look() { "$PROGRAM" verify "$1" --campaign out-show --json | field "$2"; }
[ "$(look out-show/delivery/clips/k1.mp4 altered)" = false ] || fail "k1 as delivered is called altered"
[ "$(look out-show/delivery/clips/k1.mp4 clip)" = k1 ] || fail "k1 is not recognised"
ffmpeg -v error -y -i out-show/delivery/clips/k3.mp4 -crf 26 -c:v libx264 -an stolen.mp4
[ "$(look stolen.mp4 clip)" = k3 ] && [ "$(look stolen.mp4 altered)" = true ] || fail "k3 recompressed: $("$PROGRAM" verify stolen.mp4 --campaign out-show --json)"
[ "$(look stolen.mp4 watermark.found)" = true ] || fail "the watermark did not survive"
for still in still.png still.jpg; do # one picture of it, in a format of stills
  ffmpeg -v error -y -ss 0.5 -i out-show/delivery/clips/k3.mp4 -frames:v 1 -q:v 2 $still
  [ "$(look $still clip)" = k3 ] && [ "$(look $still altered)" = true ] || fail "a picture of k3: $("$PROGRAM" verify $still --campaign out-show --json)"
done
ffmpeg -v error -y -i out-show/delivery/clips/k3.png -q:v 4 thumbnail.jpg # its thumbnail, from somebody's page
[ "$(look thumbnail.jpg clip)" = k3 ] && [ "$(look thumbnail.jpg watermark.found)" = true ] || fail "k3's thumbnail: $("$PROGRAM" verify thumbnail.jpg --campaign out-show --json)"
ffmpeg -v error -y -f lavfi -i testsrc2=s=320x240:r=10 -t 1 -c:v libx264 strange.mp4
[ "$(look strange.mp4 clip)" = null ] && [ "$(look strange.mp4 altered)" = null ] || fail "a stranger's file is called ours"
if [ $credentials = yes ]; then
  [ "$("$PROGRAM" verify out-show/delivery/clips/k1.mp4 --detector --json | field credentials)" = valid ] || fail "the credentials of k1 are not valid"
  [ "$("$PROGRAM" verify out-show/delivery/clips/k1.mp4 --detector --anchors "$KEYS/root.pem" --json | field credentials)" = trusted ] || fail "not trusted by its own root"
fi
printf 'x' | dd of=out-show/clips/k1.mp4 bs=1 seek=2000 conv=notrunc 2>/dev/null
status_is 1 "$PROGRAM" verify out-show >wrong.out 2>&1
grep -q k1 wrong.out || fail "verify DIR does not see a changed byte: $(cat wrong.out)"
echo "reviewed, delivered, verified (credentials: $credentials)"
