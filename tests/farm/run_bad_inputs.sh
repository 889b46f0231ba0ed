#!/usr/bin/env bash
# What customers' tables and folders hold that no clip can be made of. `check` names each with its row and field; what only the night can
# know costs its own clip, with the reason; and what merely looks odd is taken.
source "$(dirname "$0")/../fault/farm.sh"
command -v ffmpeg >/dev/null || skip "no ffmpeg (apt-get install ffmpeg)"
[ -x "$(dirname "$PROGRAM")/reelwright-espeak" ] || skip "this build has no espeak (libespeak-ng-dev)"

make() { ffmpeg -v error -f lavfi -i "$1" "${@:2}" || fail "ffmpeg: $*"; } # SOURCE [options] FILE
tone() { make "sine=frequency=440:duration=$1:sample_rate=48000" "${@:2}"; }
cut() { head -c $(($(stat -c %s "$1") * 4 / 10)) "$1" >"$2"; } # FILE TO: its first part
campaign_head() { # NAME RENDITIONS
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: a red cat\nseed: 5\nsize: 32x48\nframes: 17\nfps: 8\n' "$1" "$MODEL" "$1"
  printf 'steps: 2\nguidance: 4.0\nrenditions: [%s]\n' "$2"
}
refuses() { # NAME: `check` does, and says ...
  status_is 2 "$PROGRAM" check "$1.yaml" >"$1.out" 2>&1
}
says() { grep -qE "$2" "$1.out" || { cat "$1.out"; fail "$1: not said: $2"; }; } # NAME PATTERN
times_said() { [ "$(grep -c "$1.csv:" "$1.out")" = "$2" ] || { cat "$1.out"; fail "$1: not $2 faults"; }; }

# ---- files of sound, one a row
tone 0.6 -ac 2 stereo.wav
tone 0.6 -ar 8000 low.wav
tone 0.6 -c:a pcm_s24le deep.wav
tone 0.6 -f wav pipe:1 >pipe.wav # says of its length that it does not know it
tone 1.5 long.wav; tone 1.5 long.flac; tone 1.5 long.mp3; tone 1.5 long.ogg; tone 1.5 -c:a aac -movflags faststart long.m4a
tone 1.5 long.w64; tone 1.5 long.aiff; tone 1.5 -rf64 always rf64.wav; tone 1.5 -c:a aac raw.aac
for kind in wav flac mp3 ogg m4a w64 aiff; do cut long.$kind cut.$kind; done
cut rf64.wav cutrf64.wav
python3 - <<'T' # Ogg cut between two of its pages: whole pages, none of which says that it is the last
data = open("long.ogg", "rb").read()
open("pages.ogg", "wb").write(data[: data.rindex(b"OggS")])
T
make 'anullsrc=sample_rate=48000:duration=0.6' silence.wav
: >empty.wav
head -c 44 long.wav >bare.wav
echo "no sound" >text.wav
tone 0.6 -c:a aac -encryption_scheme cenc-aes-ctr -encryption_key 76a6c65c5ea762046bd749a2e632ccbb -encryption_kid a7e61c373e219033c21091fa607bf3b8 secret.m4a
make 'color=red:size=64x64:duration=1' -pix_fmt yuv420p mute.mp4
{ campaign_head sound preview; echo 'voice: {file: "{{said}}", text: hello}'; } >sound.yaml
n=1
printf 'id,said\n' >sound.csv
: >sound.want
while read -r file want; do
  n=$((n + 1))
  printf 'r%s,%s\n' $n "$file" >>sound.csv
  [ "$want" = taken ] || printf 'sound.csv:%s: field said: voice: .*/%s: %s\n' $n "$file" "$want" >>sound.want
done <<'T'
stereo.wav taken
low.wav taken
deep.wav taken
long.ogg taken
pipe.wav taken
long.w64 taken
long.aiff taken
rf64.wav taken
pages.ogg taken
raw.aac taken
silence.wav nothing is to be heard in it
cut.w64 cut short: [0-9]* of its [0-9]* bytes are there
cut.aiff cut short: [0-9]* of its [0-9]* bytes are there
cutrf64.wav cut short: [0-9]* of its [0-9]* bytes are there
cut.wav cut short: [0-9]* of its [0-9]* bytes are there
cut.flac cut short: 0\.[0-9]* s of its 1\.50 s are there
cut.mp3 cut short: 0\.[0-9]* s of its 1\.5
cut.m4a cut short: 0\.[0-9]* s of its 1\.50 s are there
cut.ogg cut short: its last part is not whole
empty.wav no sound file, expected WAV
bare.wav cut short: 44 of its [0-9]* bytes are there
text.wav no sound file, expected WAV
secret.m4a protected \(DRM\)
mute.mp4 no sound in it
T
refuses sound
while read -r want; do says sound "$want"; done <sound.want
times_said sound "$(wc -l <sound.want)"
printf 'id,said\n' >unsure.csv
grep -E 'stereo.wav|long.ogg|pipe.wav|pages.ogg|raw.aac|long.w64' sound.csv >>unsure.csv
{ campaign_head unsure preview; echo 'voice: {file: "{{said}}", text: hello}'; } >unsure.yaml
for again in 1 2; do # what is not certain is said each time
  "$PROGRAM" check unsure.yaml >unsure.out 2>&1 || { cat unsure.out; fail "files that do not say how long they are are no fault"; }
  says unsure 'warning: .*unsure.csv:4: field said: voice.file: the file does not say how long it is .*\(and of 2 other rows\)'
done
sed -i '$a r99,absent.wav' sound.csv
refuses sound
says sound "sound.csv:$((n + 1)): field said: voice.file \"absent.wav\": no such file"

# ---- a language that espeak does not have, and a voice: of short texts, too
{ campaign_head tongue preview; echo 'voice: {text: Hi, language: "{{tongue}}"}'; } >tongue.yaml
printf 'id,tongue\na,en\nb,de\nc,xx-yy\nd,xx-yy\n' >tongue.csv
refuses tongue
says tongue 'tongue.csv:4: field tongue: voice.language: .*espeak-ng has no voice for "xx-yy"'
times_said tongue 1
sed -i 's/^voice:.*/voice: {text: Hi, voice: nobody}/' tongue.yaml
refuses tongue
says tongue 'tongue.yaml:[0-9]*: field voice.text: .*espeak-ng has no voice "nobody"'

# ---- a command that is none, tried once for all rows; one that works is tried once for each language
{ campaign_head tongue preview; echo 'voice: {text: Hi, language: "{{tongue}}", engine: nosuchengine --fast}'; } >tongue.yaml
refuses tongue
says tongue 'tongue.yaml:[0-9]*: field voice.engine: asked for "1, 2, 3", it failed: the engine: it ended with status 127'
[ "$(grep -c 'tongue.yaml:' tongue.out)" = 1 ] || { cat tongue.out; fail "a wrong engine is told once"; }
printf 'cat >/dev/null\necho asked >>%s/tried\ncat %s/stereo.wav\n' "$WORK" "$WORK" >speaks.sh
sed -i "s|^voice:.*|voice: {text: Hi, language: \"{{tongue}}\", engine: \"sh $WORK/speaks.sh\"}|" tongue.yaml
for again in 1 2; do "$PROGRAM" check tongue.yaml >tongue.out 2>&1 || { cat tongue.out; fail "an engine that speaks"; }; done
[ "$(wc -l <tried)" = 3 ] || fail "the engine was tried $(wc -l <tried) times, expected 3: once for each language"
sed -i "s|$WORK/stereo.wav|$WORK/silence.wav|" speaks.sh
refuses tongue
says tongue 'field voice.engine: asked for .*: the engine: nothing is to be heard in its sound'

# ---- what lies over the picture, one a row
make color=red:size=64x64 -frames:v 1 logo.png
make testsrc=size=256x256 -frames:v 1 whole.png
cut whole.png cut.png
echo "no picture" >text.png
{
  campaign_head over 'reels, preview'
  printf 'overlays:\n  - {image: "{{logo}}", place: top-left}\n  - {text: "{{words}}", place: lower-third}\n  - {qr: "{{link}}", place: centre}\n'
} >over.yaml
python3 - >over.csv <<'T'
import csv, sys
out = csv.writer(sys.stdout)
out.writerow(("id", "logo", "words", "link"))
out.writerow(("taken", "logo.png", "Anna", "https://example.com/1"))
out.writerow(("emoji", "logo.png", "\U0001f389\U0001f388\U0001f469\u200d\U0001f467", "https://example.com/1"))
out.writerow(("spaces", "logo.png", "      ", "https://example.com/1"))
out.writerow(("control", "logo.png", "An\x01n\x07a\x1b[31m", "https://example.com/1"))
out.writerow(("nopicture", "text.png", "Anna", "https://example.com/1"))
out.writerow(("cutpicture", "cut.png", "Anna", "https://example.com/1"))
out.writerow(("wide", "logo.png", "Wort " * 100, "https://example.com/1"))
out.writerow(("glyph", "logo.png", "\U0010fffd", "https://example.com/1"))
out.writerow(("longcode", "logo.png", "Anna", "y" * 3000))
out.writerow(("densecode", "logo.png", "Anna", "y" * 1200))
T
refuses over
says over 'over.csv:6: field logo: overlays\[0\].image: .*/text.png: no picture'
says over 'over.csv:7: field logo: overlays\[0\].image: .*/cut.png: a damaged picture'
says over 'over.csv:8: field words: overlays\[1\]: the text does not fit'
says over 'over.csv:9: field words: overlays\[1\].text: no font of this machine has U\+10FFFD'
says over 'over.csv:10: field link: overlays\[2\]: no code holds 3000 bytes'
says over 'over.csv:11: field link: overlays\[2\]: a code of .* cannot be read: shorten its text or enlarge its scale, in the rendition preview'
times_said over 6
python3 -c 'print("id,logo,words,link\nlong,logo.png," + "x" * 10000 + ",https://example.com/1")' >over.csv
refuses over
says over 'over.csv:2: field words: overlays has [0-9]* bytes, expected at most 4096'

# ---- the campaign's own, one a campaign
printf 'id,name\nanna,Anna\nben,Ben\n' >one.csv
printf 'odd:\n  font: Nonesuch Sans\n' >styles.yaml
while IFS='|' read -r lines want; do
  { campaign_head one preview; printf '%b\n' "$lines"; } >one.yaml
  refuses one
  [ "$(grep -c 'one.yaml:' one.out)" = 1 ] || { cat one.out; fail "one fault of the campaign's own is told once: $lines"; }
  says one "one.yaml:[0-9]*: field [a-z.]*: $want"
done <<'T'
overlays: [{text: hi, from: 9}]|overlays\[0\].from: begins at 9 s, after the clip's end at 2.12 s
overlays: [{text: "hi {{name}}", from: 9}]|overlays\[0\].from: begins at 9 s, after the clip's end at 2.12 s
overlays: [{text: hi, from: 2, to: 1}]|from 2 to 1 s, expected an end after the beginning
overlays: [{text: hi, place: top}, {qr: ""}]|qr is empty, expected what to show
voice: {text: " "}|empty; expected a value, or no such key
music: {file: silence.wav}|music: nothing is to be heard in it
overlays: [{text: hi, place: top}, {text: ho, place: top}]|overlays\[1\].place: the same place as overlays\[0\] at the same time
overlays: [{qr: "https://example.com", place: centre, scale: 0.6}, {text: "much text, on it", place: centre, from: 9}]|overlays\[1\].from
overlays: [{qr: "https://example.com", place: left, scale: 0.5}, {image: logo.png, place: centre, scale: 0.6}]|overlays\[0\].qr: the code cannot be read: .*in the rendition preview
styles: styles.yaml\noverlays: [{text: hi, style: odd}]|overlays\[0\].style.font: no font "Nonesuch Sans"
music: {file: text.wav}|music: .*/text.wav: no sound file
music: {file: cut.flac}|music: .*/cut.flac: cut short
T

{ campaign_head one 'reels, preview'; echo 'overlays: [{text: "hi {{name}}", from: 2.5}, {qr: "https://example.com", place: end-card, from: 2.2}]'; } >one.yaml
"$PROGRAM" check one.yaml >one.out 2>&1 || { cat one.out; fail "for reels the last frame is held to 3 s, and what lies over it then is no fault"; }
says one 'warning: .*one.yaml:[0-9]*: field overlays: overlays\[1\].qr is shown for 0.00 s in the rendition preview, which ends at 2.12 s'

# ---- the night: engines that hang, die, write rubbish and far too much; files that look odd; a code that is there for too short a time
{
  campaign_head engines preview
  echo "voice: {text: \"{{words}}\", at: 0.2, time_limit: 3, retries: 1, engine: \"sh $WORK/engine.sh\"}"
  echo 'overlays: [{text: "{{words}}", place: bottom}]'
} >engines.yaml
cat >engine.sh <<S
order=\$(cat)
echo "\$order" >>"$WORK/orders"
case "\$order" in
  *hangs*) sleep 60 ;;
  *dies*) echo "no voice today" >&2; exit 9 ;;
  *mute*) exit 9 ;;
  *rubbish*) head -c 5000 /dev/urandom ;;
  *flood*) head -c 209715200 /dev/zero ;;
  *half*) cat "$WORK/cut.wav" ;;
  *) cat "$WORK/stereo.wav" ;;
esac
S
python3 - >engines.csv <<'T'
import csv, sys
out = csv.writer(sys.stdout)
out.writerow(("id", "words"))
out.writerows((id, id) for id in ("hangs", "dies", "mute", "rubbish", "flood", "half"))
out.writerows((("well", "Anna"), ("emoji", "\U0001f389\U0001f388"), ("spaces", "     "), ("control", "An\x01n\x07a")))
T
ffmpeg -v error -f lavfi -i 'color=red:size=64x64:duration=1.5:rate=10' -itsoffset 0.5 -i stereo.wav -map 0:v -map 1:a -c:v mpeg4 -c:a flac late.mkv || fail "no late.mkv"
{
  campaign_head files preview
  echo 'voice: {text: Hello, file: "{{said}}", at: 0.2}'
  echo 'overlays: [{qr: "{{link|}}", place: centre, from: 1, to: 1.15}]'
} >files.yaml
printf 'id,said,link\nstereo,stereo.wav,\nlow,low.wav,\ndeep,deep.wav,\npipe,pipe.wav,\nlate,late.mkv,\ncode,stereo.wav,https://example.com/code\n' >files.csv
status=0
"$PROGRAM" run engines.yaml files.yaml --out out --workers 1 2>night.err || status=$?
[ "$status" = 1 ] || fail "exit status $status, expected 1: some clips fail"
failed_for() { grep -qE "^$1,.*,failed,.*$2" out/engines/delivery.csv || fail "$1: $(grep "^$1," out/engines/delivery.csv)"; } # ID REASON
failed_for hangs 'voice: the engine: it took longer than 3 s'
failed_for dies 'voice: the engine: it ended with status 9: no voice today'
failed_for mute 'voice: the engine: it ended with status 9: it said nothing'
failed_for rubbish 'voice: the engine: it wrote 5000 bytes that are no WAV file'
failed_for flood 'voice: the engine: it wrote more than 100 MB'
failed_for half 'voice: the engine: .*cut short'
[ "$(grep -c dies orders)" = 2 ] || fail "the engine was asked $(grep -c dies orders) times, expected 2: retries is 1"
[ "$(grep -c ',delivered,' out/engines/delivery.csv)" = 4 ] || { cat out/engines/delivery.csv; fail "four of the engine's clips are delivered"; }
[ "$(grep -c ',delivered,' out/files/delivery.csv)" = 5 ] || { cat out/files/delivery.csv; fail "five of the files' clips are delivered"; }
grep -q '^code,.*,code,held,held by qr (overlays.0..qr cannot be read in code.mp4),' out/files/delivery.csv || fail "the code: $(grep ^code out/files/delivery.csv)"
"$PROGRAM" review approve out/files code --by eva >/dev/null 2>review.err || fail "the code's clip cannot be approved"
for clip in stereo low deep pipe late; do
  begins=$(ffmpeg -hide_banner -nostats -i out/files/clips/$clip.mp4 -map 0:a -af silencedetect=noise=-40dB:d=0.1 -f null - 2>&1 | sed -n 's/.*silence_end: *\([0-9.]*\).*/\1/p' | head -n 1)
  awk -v is="$begins" -v want="$([ $clip = late ] && echo 0.7 || echo 0.2)" 'BEGIN{exit !(is > want - 0.02 && is < want + 0.02)}' || fail "$clip is heard from $begins s on"
done
echo "each fault has its row and field, each bad engine cost its own clip"
