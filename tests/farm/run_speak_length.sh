#!/usr/bin/env bash
# `frames: voice`: each clip of a model that speaks is as long as what is said in it. Planned by what check can hear, made by what the worker hears,
# the same after kills, finished again without a render, and refused where it is longer than it may be.
source "$(dirname "$0")/../fault/farm.sh"
MODEL=$SOURCE/tests/parity/fixtures/s2v/two-heads/model FACE=$SOURCE/models/face.png
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT

speaking() { # NAME LINE...
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: a woman speaks\nimage: %s\nseed: 3\nsize: 64x64\nframes: voice\nsteps: 2\ncheckpoint: {every: 1}\nrenditions: [master]\n' "$1" "$MODEL" "$1" "$FACE" >"$1.yaml"
  printf '%s\n' "${@:2}" >>"$1.yaml"
}
frames_of() { ffprobe -v error -select_streams v -show_entries stream=nb_frames -of csv=p=0 "out-$1/clips/$2.mp4"; }
is_long() { [ "$(frames_of "$1" "$2")" = "$3" ] || fail "$1: clip $2 has $(frames_of "$1" "$2") frames, expected $3"; }
plan_of() { "$PROGRAM" check "$1.yaml" --json | python3 -c 'import json, sys; r = json.load(sys.stdin)["render"]; f = r["frames_follow_voice"]; print(f["least"], f["most"], f["allowed"], r["frames"])'; }

# An engine that speaks for as many tenths of a second as its text says, which no number of letters tells.
cat >engine.py <<'END'
import json, math, struct, sys, wave
tenths = int(json.load(sys.stdin)['text'].split()[0])
with wave.open('/dev/stdout', 'wb') as w:
    w.setparams((1, 2, 16000, 0, 'NONE', ''))
    w.writeframes(b''.join(struct.pack('<h', int(9000 * math.sin(i / 9))) for i in range(1600 * tenths)))
END
wav() { python3 engine.py <<<"{\"text\": \"$2\"}" | cat >"$1"; }

# ---- recordings: check knows; 0.3 s before, 0.1 s behind: 1.0 s are 22.4 frames, 4.5 s 78.4, so two pieces of the chain ----
wav a.wav 10; wav b.wav 45
speaking files 'voice: {file: "{{id}}.wav"}' 'overlays: [{text: bye, from: -0.5}]'
printf 'id\na\nb\n' >files.csv
[ "$(plan_of files)" = '23 79 480 51' ] || fail "the plan: $(plan_of files)"
"$PROGRAM" check files.yaml >check.txt
grep -q 'about 23 to 79 frames at 16 per second = 1.44 to 4.94 s' check.txt && grep -q '1 to 2 pieces' check.txt || fail "not said: $(cat check.txt)"
[ "$(plan_of files)" = '23 79 480 51' ] || fail "the plan, remembered: $(plan_of files)"
provoke "at=denoise,step=1,clip=b,do=kill,once=k1; at=denoise,step=3,clip=b,do=kill,once=k3; at=finish,clip=b,do=kill,once=kf"
run files; finish 0
calm_down
[ -e k1 ] && [ -e k3 ] && [ -e kf ] || fail "nobody was killed"
is_long files a 23; is_long files b 79
"$PROGRAM" explain out-files b >said.txt
grep -q 'seed 3, 4 steps' said.txt || fail "explain: $(cat said.txt)"

# the same shot of a number of frames has the same pictures: what is said decides nothing but how many there are
sed 's/^campaign: .*/campaign: fixed/; s/^customers: .*/customers: fixed.csv/; s/^frames: .*/frames: 79/' files.yaml >fixed.yaml
printf 'id\nb\n' >fixed.csv
run fixed; finish 0
cmp out-files/clips/b.mp4 out-fixed/clips/b.mp4 || fail "79 frames by number are other frames"

# ---- another overlay and another limit finish again what is rendered; a longer recording is another shot ----
steps() { events files shot.rendered | grep -o '"steps":[0-9]*' | awk -F: '{n += $2} END {print n}'; }
was=$(steps)
sed -i 's/text: bye/text: farewell/; s/voice: {/voice: {longest: 8, /' files.yaml
run files --update; finish 0
[ "$(steps)" = "$was" ] && is_long files b 79 || fail "rendered again: $(steps) steps, $was before"
wav a.wav 12
run files --update; finish 0
[ "$(steps)" = $((was + 2)) ] || fail "another voice is no other render"
is_long files a 26

# ---- a command: check hears ten, takes the rest by their letters, and the worker makes what it hears ----
speaking command "voice: {text: \"{{tenths}} tenths of a second\", engine: \"python3 $WORK/engine.py\", longest: 5}"
{ echo id,tenths; for i in $(seq 10 20); do echo "r$i,$i"; done; } >command.csv
[ "$(plan_of command)" = '23 37 80 31' ] || fail "the plan of a command: $(plan_of command)"
sed -i '3,$d' command.csv
sed -i 's/r10,10/r10,"10 and more letters than that takes: one, two, three, four, five"/' command.csv
run command --group-size 2; finish 0
is_long command r10 23

# ---- too long: a fault where check hears it, a clip that failed where only the night does; what begins behind the end ----
refused() { # NAME TEXT
  status_is 2 "$PROGRAM" check "$1.yaml" >check.txt 2>&1
  grep -qF "$2" check.txt || fail "$1: not said: $2: $(cat check.txt)"
}
printf 'id,tenths\na,10\nb,80\n' >command.csv
refused command 'command.csv:3: field tenths: voice: the clip would take 8.40 s, expected at most 5.00 s: shorten the text, or give a greater voice.longest'
{ echo id,tenths; for i in $(seq 1 10); do echo "r$i,$i, and so on, and so on, and so on"; done | sed 's/,\(.*\)/,"\1"/'; echo late,60; } >command.csv
sed 's/^campaign: .*/campaign: late/; s/^customers: .*/customers: late.csv/' command.yaml >late.yaml
{ head -n 1 command.csv; tail -n 1 command.csv; } >late.csv
python3 - <<'END'
# ten rows that are longer by their letters are spoken before the one that is too long
rows = ['r%d,"1 tenth, and so on, and so on, %d"' % (i, i) for i in range(10)]
text = open('late.csv').read().splitlines()
open('late.csv', 'w').write('\n'.join([text[0], *rows, text[1]]) + '\n')
END
run late; finish 1
grep -q '^late,.*failed,.*the clip would take 6.40 s' out-late/delivery.csv || fail "late: $(cat out-late/delivery.csv)"
speaking behind 'voice: {file: "{{id}}.wav"}' 'overlays: [{text: bye, from: 2}]'
printf 'id\na\nb\n' >behind.csv
refused behind 'behind.yaml:13: field overlays: overlays[0].from: begins at 2 s, after the clip'"'"'s end at 1.62 s; -2 is 2 s before the end'
speaking ends 'voice: {file: "{{id}}.wav"}' 'overlays: [{text: bye, from: -1, to: 2}]'
cp behind.csv ends.csv
refused ends 'from -1 counts from the clip'
sed 's/^frames: voice/frames: 77/; s/voice: {/voice: {longest: 9, /' behind.yaml >behind2.yaml
refused behind2 'field voice.longest: changes nothing'
sed "s#^model: .*#model: $SOURCE/tests/parity/fixtures/t2v-0/model#; /^image/d" command.yaml >dumb.yaml
refused dumb 'field frames: voice, expected a number'
echo "clips are as long as their voices"
