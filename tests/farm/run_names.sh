#!/usr/bin/env bash
# Names that would steer a terminal, a page, a spreadsheet or a list: in ids, cells, file names, folders, people's names, reasons, options. Every verb
# is asked with them, by one table; whatever it prints or writes is looked at byte by byte.
source "$(dirname "$0")/../fault/farm.sh"
export REELWRIGHT_TRUST=$WORK/trust
EVIL=$'x\e[2J\e]0;t\a\x7f\xc2\x9b31m\xe2\x80\xae\r\nfake: line<b>"&quot;' # clears, names the window, C1's CSI, turns the direction, a second line
HERE=$'here\e[31m\xe2\x80\xae'                                             # of files and folders
NAME=$'=2+3<b>"\xe2\x80\xae'                                         # what people may be called, and say
BAD=$'no\xff\e[2Jutf8'
command -v python3 >/dev/null || skip "no python3"

# The table is the lines that begin with ask. The N-th one's words and output are said/N.*; a crash, or a status that no verb has, fails.
mkdir said
n=0
ask() { # WORDS...
  local status=0
  n=$((n + 1))
  printf '%q ' "$@" >said/$n.words
  "$PROGRAM" "$@" >said/$n.out 2>said/$n.err </dev/null || status=$?
  case $status in 0 | 1 | 2 | 3 | 75) ;; *) fail "status $status of: $(cat said/$n.words)" ;; esac
  echo $status >said/$n.status
}

mkdir "$HERE"
ffmpeg -v error -y -f lavfi -i testsrc2=s=160x120:d=1 -f lavfi -i sine=d=1 -shortest "$HERE/said.mp4"
ffmpeg -v error -y -t 0.4 -i "$HERE/said.mp4" -ac 1 -ar 16000 said.wav
cp "$SOURCE/models/face.png" "$HERE/$HERE.png"
python3 - "$HERE" "$EVIL" <<'EOF'
import csv, sys
here, evil = sys.argv[1:]
with open(here + '/' + here + '.csv', 'w', newline='') as f:
    w = csv.writer(f)
    w.writerow(['id', 'name', 'place', 'on ' + evil])
    w.writerow(['k1', evil, 'sea', '=1+1'])
    w.writerow(['=k2<b>"', 'Bo', evil, '@SUM(A1)'])
    w.writerow(['k3', 'Cy', 'sea', '-2+3'])
EOF
cat >"$HERE/$HERE.yaml" <<END
campaign: names
model: $MODEL
customers: "here\\e[31m\\u202e.csv"
prompt: "a balloon over {{place}}"
seed: 3
steps: 1
size: 32x48
frames: 9
fps: 8
renditions: [preview]
voice: {text: "Hello {{name}}", language: en, engine: "cat $WORK/said.wav"}
review: {policy: all}
END
sed '/^voice/d' "$HERE/$HERE.yaml" >"$HERE/quiet$HERE.yaml"
Y=$HERE/$HERE.yaml OUT=$HERE/out$HERE ID='=k2<b>"'
sed 's/place}}/place}} {{nothing}}/; s/^steps.*/steps: "{{name}}"/' "$Y" >"$HERE/wrong.yaml"
ask check "$Y"
ask check "$Y" --json
ask check "$HERE/wrong.yaml"
ask plan "$Y" --record "$HERE/$HERE.csv"
ask voices "$Y"
ask run "$Y" --out "$OUT" --workers 1
[ "$(cat said/$n.status)" = 0 ] || fail "the run: $(cat said/$n.err)"
sed -i 's/^k3,Cy/k3,Cyd/; s/^k1,/k9,/' "$HERE/$HERE.csv"
ask check "$Y" --out "$OUT"
sed -i 's/^k9,/k1,/' "$HERE/$HERE.csv"
ask run "$Y" --out "$OUT" --workers 1 --update
ask review list "$OUT"
ask review list "$OUT" --where "name=$EVIL"
ask review list "$OUT" --where "$EVIL=1"
ask review list "$OUT" --json
ask review approve "$OUT" "$ID" --by "$EVIL"
ask review approve "$OUT" "$ID" --by "$NAME"
ask review reject "$OUT" k1 --by "$NAME" --reason "$EVIL"
ask review reject "$OUT" k1 --by "$NAME" --reason "$NAME"
ask review reopen "$OUT" k1 --by "$NAME"
ask review rerender "$OUT" k1 --by "$NAME" --reason "$NAME"
ask review approve "$OUT" "$EVIL" --by Eva
ask review approve "$OUT" k3 --by "$EVIL$BAD"
ask review list "$OUT" --all
ask status "$OUT"
ask status "$OUT" --json
ask explain "$OUT" "$ID"
ask explain "$OUT" k1
ask explain "$OUT" "$EVIL"
for verb in pause resume cancel resume retry; do
  ask $verb "$OUT" "$ID"
  ask $verb "$OUT" "$EVIL"
  ask $verb "$OUT" --where "place=$EVIL"
done
ask priority "$OUT" "$EVIL"
ask priority "$OUT" 3
ask pilot approve "$OUT"
ask deliver "$OUT"
ask dossier "$OUT"
ask dossier "$OUT" --json
CLIP=$(find "$OUT/clips" -name '*.mp4' | head -n 1)
cp "$CLIP" "$HERE/clip$HERE.mp4"
ask verify "$OUT"
ask verify "$OUT" --json
ask verify "$CLIP"
ask verify "$HERE/clip$HERE.mp4" --campaign "$OUT"
ask verify "$HERE/clip$HERE.mp4" --detector
ask gate "$HERE/clip$HERE.mp4" "$HERE/$HERE.png"
ask gate "$HERE/clip$HERE.mp4" --json
ask inspect "$OUT"
ask inspect "$CLIP"
ask inspect "$(find "$OUT/latents" -name '*.h5' | head -n 1)"
ask inspect "$HERE/$HERE.png"
cp -r "$MODEL" "$HERE/model$HERE"
ask inspect "$HERE/model$HERE"
ask render --model "$HERE/model$HERE" --prompt "$EVIL" --width 32 --height 48 --frames 5 --steps 1 --output "$HERE/r$HERE.mp4"
ask merge "$HERE/all$HERE" "$OUT"
ask submit "$Y" --out "$OUT"
ask keys init "$HERE/keys$HERE"
ask cameo add anna --name "$EVIL" --face "$HERE/$HERE.png"
ask cameo add anna --name "$NAME" --face "$HERE/$HERE.png" --voice "$HERE/said.mp4"
ask cameo add "$EVIL" --name Anna --face "$HERE/$HERE.png"
ask cameo add ben --name Ben --face "$HERE/$HERE.csv"
ask cameo challenge anna
code=$(sed -n 's/^The code is \([0-9]*\);.*/\1/p' said/$n.out)
ask cameo verify anna --recording "$HERE/said.mp4" --by "$EVIL" --passcode 1
ask cameo verify anna --recording "$HERE/said.mp4" --by "$NAME" --passcode "$code"
ask cameo grant anna --purpose "$EVIL" --until 2099-12-31 --face
ask cameo grant anna --purpose "$NAME" --brand "$NAME" --campaign "$NAME" --audience named --for "$ID" --until 2099-12-31 --face --evidence "$HERE/$HERE.csv"
ask cameo list
ask cameo list --json
ask cameo show anna
ask cameo show anna --picture "$HERE/faces$HERE.png"
ask cameo export anna --out "$HERE/about$HERE"
ask cameo check
ask cameo revoke anna
ask cameo check --reset-clock --by "$EVIL" --reason "$EVIL"
ask erase "$OUT" k3 --by "$EVIL"
ask erase "$OUT" k3 --by "$NAME"
ask erase "$OUT" "$EVIL" --by "$EVIL"
ask expire "$OUT" --older-than "$EVIL"
ask calibrate "$Y" --out "$HERE/cal$HERE"
# what is not there, and what no verb knows: the message names it
for verb in $("$PROGRAM" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p') "$EVIL"; do
  ask "$verb" "$HERE/none$EVIL" "$HERE/none$BAD"
  ask "$verb" "--$EVIL" "$EVIL"
done
[ "$n" -gt 120 ] || fail "only $n questions"

python3 - "$HERE" "$OUT" <<'EOF'
import csv, glob, json, os, re, sys
here, out = sys.argv[1:]
wrong = []
def look(path, steers, where):
    data = open(path, 'rb').read()
    try:
        text = data.decode()
    except UnicodeDecodeError as e:
        return wrong.append((where, 'no UTF-8', data[max(0, e.start - 30):e.end + 30]))
    for m in re.finditer(steers, text):
        return wrong.append((where, hex(ord(m[0])), text[max(0, m.start() - 60):m.end() + 20]))
CONTROL = '[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\x7f-\x9f]' # of files: their lines and tabs are their own
TERMINAL = CONTROL[:-1] + '\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]'
for i in range(1, len(glob.glob('said/*.words')) + 1):
    words = open(f'said/{i}.words').read()
    for end in ('out', 'err'):
        text = open(f'said/{i}.{end}', 'rb').read()
        of_program = end == 'out' and text[:1] in (b'[', b'{')
        look(f'said/{i}.{end}', CONTROL if of_program else TERMINAL, words + end)
        if of_program: json.loads(text)
        if b'\nfake: line' in text: wrong.append((words + end, 'a second line', text[:300]))
files = [os.path.join(d, f) for top in (out, here + '/about' + here) for d, _, fs in os.walk(top) for f in fs]
kinds = {'.csv', '.html', '.json', '.jsonl', '.log', '.prom', '.txt', '.vtt', '.srt'}
read = set()
for path in files:
    kind = os.path.splitext(path)[1]
    if kind not in kinds and not os.path.basename(path).startswith('metrics'): continue
    read.add(kind)
    look(path, CONTROL.replace('\x0d', '') if kind in ('.csv', '.html') else CONTROL, path)
    text = open(path, encoding='utf-8', errors='replace', newline='').read()
    if kind == '.html' and '<b>"' in text: wrong.append((path, 'markup of a cell', text[text.index('<b>"') - 80:][:120]))
    if kind == '.csv':
        rows = list(csv.reader(text.splitlines(True)))
        if len({len(r) for r in rows if r}) > 1: wrong.append((path, 'rows of different lengths', [len(r) for r in rows]))
        wrong += [(path, 'a formula', c) for r in rows for c in r if re.match(r'[=@\t\r]|[+-](?![\d.,]+$)', c)]
assert {'.csv', '.html', '.jsonl', '.json', '.log'} <= read, read
for w in wrong: print('%s: %s: %r' % w)
if wrong: sys.exit(f'FAILED: {len(wrong)} outputs are steered by a name')
EOF
echo "$n questions with names that steer: nothing was steered"
