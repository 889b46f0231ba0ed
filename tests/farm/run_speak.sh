#!/usr/bin/env bash
# A campaign whose model speaks: the voice of each row is made before its shot, the lips follow it, and the finish lays the same sound under the
# picture, also after kills and with an engine that never says the same twice. A recording gives what `render --audio` gives, bit for bit. A
# person's face and voice need their consent and go with it; a customer's go with the customer. What is wrong is said before anything starts.
source "$(dirname "$0")/../fault/farm.sh"
source "$(dirname "$0")/../fault/people.sh"
MODEL=$SOURCE/tests/parity/fixtures/s2v/two-heads/model
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT

speaking() { # NAME LINE...: 80 frames, so two clips in a chain
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: a woman speaks\nseed: 3\nsize: 64x64\nframes: 80\nsteps: 2\ncheckpoint: {every: 1}\nrenditions: [master]\n' "$1" "$MODEL" "$1" >"$1.yaml"
  printf '%s\n' "${@:2}" >>"$1.yaml"
}
key_of() { "$PROGRAM" explain "out-$1" "$2" | sed -n 's/^  shot     \([0-9a-f]*\),.*/\1/p'; }

# An engine that never says the same twice: each time that a campaign asks for a text, the tone is another. With a person's voice it says that.
cat >engine.py <<'END'
import json, math, struct, sys, wave, zlib
told = json.load(sys.stdin)
if told.get('voice') == 'cameo' and 'voice_ref' not in told: sys.exit('whose voice?')
with open(sys.argv[1] + '.asked', 'a+') as f:
    f.write(told['text'] + '\n')
    f.seek(0)
    pitch = 200 + zlib.crc32(told['text'].encode()) % 100 + 137 * f.readlines().count(told['text'] + '\n')
frames, rate = b''.join(struct.pack('<h', int(9000 * math.sin(i * pitch / 2546.48))) for i in range(32000)), 16000
if 'voice_ref' in told:
    with wave.open(told['voice_ref'], 'rb') as r: frames, rate = frames[:8000] + r.readframes(r.getnframes()), r.getframerate()
    print(json.dumps({'consent': told['consent'], 'engine': 'tone'}), file=sys.stderr)
with wave.open('/dev/stdout', 'wb') as w:
    w.setparams((1, 2, rate, 0, 'NONE', ''))
    w.writeframes(frames)
END
asked() { [ "$(sort "$1.asked")" = "$(printf '%s\n' "${@:2}")" ] || fail "the engine was asked for: $(cat "$1.asked")"; }

# ---- three rows, two things to say, two renders ----
speaking calm "image: $FACE" "voice: {text: \"Hello {{name}}!\", engine: \"python3 $WORK/engine.py calm\"}"
printf 'id,name\na,Anna\nb,Benvolio\nc,Anna\n' >calm.csv
again killed
run calm; finish 0
asked calm '1, 2, 3' 'Hello Anna!' 'Hello Benvolio!'
(cd out-calm/clips && sha256sum *.mp4) >calm.sums
[ "$(key_of calm a)" = "$(key_of calm c)" ] && [ "$(key_of calm a)" != "$(key_of calm b)" ] || fail "who shares a render: $(key_of calm a) $(key_of calm b) $(key_of calm c)"
cmp -s out-calm/clips/a.mp4 out-calm/clips/b.mp4 && fail "two names look alike"
[ -z "$(find out-calm -type f -perm /077 ! -path '*/delivery/*')" ] || fail "others can read what is said"
! grep -q Benvolio -r out-calm/events.jsonl out-calm/logs || fail "what is said is in the logs"

# ---- killed inside the first clip of the chain, inside the second, and between them ----
provoke "at=denoise,step=1,clip=a,do=kill,once=k1; at=denoise,step=3,clip=a,do=kill,once=k3; at=denoise,step=2,clip=b,do=kill,once=k2"
run killed; finish 0
calm_down
[ -e k1 ] && [ -e k2 ] && [ -e k3 ] || fail "nobody was killed"
asked killed '1, 2, 3' 'Hello Anna!' 'Hello Benvolio!'
(cd out-killed/clips && sha256sum *.mp4) >killed.sums
same_files calm killed

# ---- two ranks for one shot: the first asks the engine, both hear the same ----
again pair
sed -i '3,$d' pair.csv
run pair --group-size 2; finish 0
asked pair '1, 2, 3' 'Hello Anna!'
ffmpeg -v error -i out-calm/clips/a.mp4 -i out-pair/clips/a.mp4 -lavfi '[0:v][1:v]psnr=f=psnr.log' -f null -
awk '{split($6, a, ":"); if (a[2] != "inf" && a[2] < 40) bad++} END {exit NR != 80 || bad}' psnr.log || fail "two ranks show another clip: $(head -n 3 psnr.log)"

# ---- a customer leaves: so does what was said to them ----
b=$(key_of calm b)
[ -s "out-calm/latents/$b.voice.wav" ] || fail "where is what is said?"
"$PROGRAM" erase out-calm b >/dev/null
[ -z "$(find out-calm -name "$b*" -type f ! -path '*/logs/*')" ] && [ -z "$(grep -rla Benvolio out-calm)" ] || fail "left of them: $(find out-calm -name "$b*") $(grep -rla Benvolio out-calm)"
[ -s "out-calm/latents/$(key_of calm a).voice.wav" ] || fail "the others' went, too"

# ---- a recording: what `render --audio` makes of the same sound, and the sound where it was ----
cat >wav.py <<'END'
# wav.py FILE SILENCE: a tone with a click at 1.2 s, behind so many seconds of silence
import math, struct, sys, wave
tone = [int(3000 * math.sin(i / 60)) if abs(i - 57600) > 30 else 30000 * (-1) ** i for i in range(2 * 48000)]
samples = [0] * int(float(sys.argv[2]) * 48000) + tone
with wave.open(sys.argv[1], 'wb') as w:
    w.setparams((1, 2, 48000, 0, 'NONE', ''))
    w.writeframes(struct.pack('<%dh' % len(samples), *samples))
END
python3 wav.py said-to-Anna.wav 0; python3 wav.py padded.wav 0.5
speaking file "image: $FACE" 'voice: {file: "said-to-{{name}}.wav", at: 0.5}'
printf 'id,name\na,Anna\n' >file.csv
run file; finish 0
"$PROGRAM" render --model "$MODEL" --prompt 'a woman speaks' --seed 3 --width 64 --height 64 --frames 80 --steps 2 --image "$FACE" --audio padded.wav \
  --output r.mp4 --checkpoint r.h5 --json >r.json 2>>file.err || fail "render: status $?"
ffmpeg -v error -i out-file/clips/a.mp4 -f f32le -ac 1 -ar 48000 heard.raw
python3 - "$(key_of file a)" <<'END' || fail "not what render makes"
import array, json, sys
key, other = sys.argv[1].encode(), json.load(open('r.json'))['shot'].encode()
a, b = open('out-file/latents/%s.h5' % key.decode(), 'rb').read(), open('r.h5', 'rb').read()
assert b.count(other) == 1 and a[:-80] == b.replace(other, key)[:-80] and len(a) > 500000, 'other latents' # a checkpoint ends with its own hash
heard = array.array('f', open('heard.raw', 'rb').read())
click = max(range(len(heard)), key=lambda i: abs(heard[i])) / 48000
assert abs(click - 1.7) < 0.002, 'the click is heard at %.4f s' % click
END
! grep -rq said-to out-file/events.jsonl out-file/logs || fail "a file's name is in the logs"

# ---- people: face and voice of one who agreed to both; one who says no while the lips move; one who agreed to the face alone ----
for who in vera sol uma; do
  "$PROGRAM" cameo add $who --name "Person $who" --face "$FACE" --voice said.mp4 >/dev/null
  "$PROGRAM" cameo verify $who --recording said.mp4 --by Rita --passcode "$(code_of $who)" >/dev/null
done
grant vera --voice; grant sol --voice; grant uma
speaking people 'cameo: {id: "{{who}}", purpose: travel}' "voice: {text: \"I am {{id}}, and this is what I have to tell you today, word by word.\", engine: \"python3 $WORK/engine.py people\", voice: cameo}"
printf 'id,who\np,vera\nr,sol\nq,uma\n' >people.csv
"$PROGRAM" check people.yaml >check.txt || fail "check asks for a voice that it has not: $(cat check.txt)"
grep -q "2 texts may take longer" check.txt || fail "check does not say what it did not hear: $(cat check.txt)"
"$PROGRAM" voices people.yaml --out heard >voices.txt || fail "voices asks for a voice that it has not: $(cat voices.txt)"
grep -q "^2 texts not spoken" voices.txt || fail "voices does not say what it did not speak: $(cat voices.txt)"
[ ! -e people.asked ] || fail "check or voices asked the engine"
provoke "at=denoise,step=1,clip=p,do=hold,until=$WORK/go,once=p-held; at=finish,clip=r,do=hold,until=$WORK/go,once=r-held"
run people
until_true 60 test -e p-held
until_true 60 test -e r-held
p=$(key_of people p) r=$(key_of people r)
[ -s "out-people/latents/$p.voice.wav" ] || fail "no voice before the lips"
"$PROGRAM" cameo revoke vera >/dev/null
p_is_revoked() { "$PROGRAM" explain out-people p | grep 'clip p: revoked' >/dev/null; }
until_true 60 p_is_revoked
rm "out-people/latents/$r.voice.wav" # of a shot that is rendered: its lips follow a sound that is no more
release
finish 0
[ "$(cut -d, -f1,3 out-people/delivery.csv | tr '\n' ' ')" = 'id,clip_id p,p r,r q,q ' ] || fail "$(cat out-people/delivery.csv)"
for line in p,.*,revoked, r,.*,delivered, q,.*,refused,; do grep -q "^$line" out-people/delivery.csv || fail "not $line: $(cat out-people/delivery.csv)"; done
[ "$(grep -c 'I am r' people.asked)" = 2 ] || fail "the lost sound: $(cat people.asked)"
! grep -q 'I am q' people.asked || fail "uma did not agree to speak"
[ -z "$(find out-people -name "$p*" -type f ! -path '*/logs/*')" ] || fail "left of vera: $(find out-people -name "$p*")"
"$PROGRAM" cameo revoke sol >/dev/null
[ -z "$(find out-people -name "$r*" -type f ! -path '*/logs/*')" ] || fail "left of sol: $(find out-people -name "$r*")"

# ---- what is wrong is said, with row and field ----
refused() { # NAME TEXT...
  status_is 2 "$PROGRAM" check "$1.yaml" >check.txt 2>&1
  local text
  for text in "${@:2}"; do grep -qF "$text" check.txt || fail "$1: not said: $text: $(cat check.txt)"; done
}
speaking dumb "image: $FACE"
cp calm.csv dumb.csv
refused dumb 'field voice: missing' 'speaks'
speaking wrong 'image: "{{photo|}}"' 'voice: {text: "{{say|}}", too_long: hold}'
printf 'id,photo,say\na,%s,\nb,,Hello\n' "$FACE" >wrong.csv
refused wrong 'wrong.csv:2: field say: voice.text is empty' 'wrong.csv:3: field photo: no image' 'field voice.too_long: hold'
speaking long "image: $FACE" 'voice: {text: "{{say}}"}'
printf 'id,say\na,Hello\nb,"%s"\n' "$(yes 'and so on' | head -n 40 | tr '\n' ' ')" >long.csv
refused long 'long.csv:3: field say: voice: it takes'
speaking alone 'cameo: {id: "{{who|}}", purpose: travel}' "voice: {text: hello, engine: \"python3 $WORK/engine.py alone\", voice: cameo}"
printf 'id,who\na,uma\nb,\n' >alone.csv
refused alone 'alone.csv:3: field who: no cameo'
echo "lips follow each row's own voice: kills, consents, erasure and a recording gave what they should"
