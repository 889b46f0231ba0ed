#!/usr/bin/env bash
# One campaign with everything that a finish can do, looked at by others: ffprobe and mediainfo say what the files are, ffmpeg how loud they
# are, and a code is read back from a finished frame. A voice that fails costs its clip alone.
source "$(dirname "$0")/../fault/farm.sh"
command -v ffprobe >/dev/null || { echo "skipped: no ffprobe (apt-get install ffmpeg)"; exit 77; }
[ -x "$(dirname "$PROGRAM")/reelwright-espeak" ] || { echo "skipped: this build has no espeak (libespeak-ng-dev)"; exit 77; }

ffmpeg -v error -y -f lavfi -i 'sine=frequency=330:duration=2' -ac 1 -ar 22050 bed.flac || fail "no bed"
printf 'id,name,lang,say\nanna,"Anna {x} \\N %%",de,\nomar,عمر,en-us,[[o:m'"'"'A:r]]\nmute,,de,\ndead,Dead,de,\n' >all.csv
printf '<h1>{{name|}} {{cta}}</h1>{{clip.player}} {{clip.disclosure}}' >page.html
cat >all.yaml <<Y
campaign: all
model: $MODEL
customers: all.csv
prompt: "a red cat"
seed: 5
size: 32x48
frames: 9
fps: 8
steps: 2
guidance: 4.0
renditions: [reels, web, preview, poster, gif]
voice: {text: "{{name|}}", language: "{{lang}}", phonetic: "{{say|}}", too_long: hold, at: 0.2, time_limit: 5, retries: 0,
  engine: "order=\$(cat); case \$order in *Dead*) echo broken >&2; exit 9;; esac; printf %s \"\$order\" | $(dirname "$PROGRAM")/reelwright-espeak"}
music: {file: bed.flac}
subtitles: track
overlays:
  - {text: "For {{name|you}} {{cta}}", place: bottom}
  - {qr: "https://example.com/{{id}}", place: centre, scale: 0.6}
variants: {cta: {A: now, B: later}}
label: {profile: eu}
page: page.html
Y
"$PROGRAM" check all.yaml >check.txt 2>&1 || { cat check.txt; fail "check"; }
status=0
"$PROGRAM" run all.yaml --out out --workers 1 2>run.err || status=$?
[ "$status" = 1 ] || { cat run.err; fail "exit status $status, expected 1: one clip fails"; }
grep -q '^dead,.*,failed,.*voice: the engine: it ended with status 9: broken' out/delivery.csv || fail "the dead voice's clip: $(grep dead out/delivery.csv)"
[ "$(grep -c ',delivered,' out/delivery.csv)" = 3 ] || { cat out/delivery.csv; fail "three clips are delivered"; }
grep -q '^mute,.*,name;say,cta=[AB],,clips/mute.gif,clips/mute.html,synthetic;label=eu,' out/delivery.csv || fail "the list: $(grep '^mute' out/delivery.csv)"
grep -q '^anna,.*,say,cta=[AB],clips/anna.vtt,clips/anna.gif,clips/anna.html,' out/delivery.csv || fail "the list: $(grep '^anna' out/delivery.csv)"
"$PROGRAM" explain out anna >said.txt && grep -q '^  voice    says: ' said.txt || fail "explain does not say what is said: $(cat said.txt)"
grep -q 'Anna {x} .N %' out/delivery/clips/anna.vtt || fail "anna.vtt"
grep -q '<h1>Anna {x} .N % .*poster="anna.poster.jpg".* src="anna.web.mp4".* src="anna.mp4".*KI erstellt' out/delivery/clips/anna.html || fail "anna.html"

look() { ffprobe -v error -select_streams "$2" -show_entries "stream=$3" -of csv=p=0 "out/delivery/clips/$1"; } # FILE STREAM FIELDS
is() { [ "$2" = "$3" ] || fail "$1 is $2, expected $3"; }
is "the picture of reels" "$(look anna.mp4 v codec_name,width,height,pix_fmt,r_frame_rate)" h264,1080,1920,yuv420p,30/1
is "the sound of reels" "$(look anna.mp4 a codec_name,sample_rate,start_time)" aac,48000,0.000000
is "the subtitles of reels" "$(look anna.mp4 s codec_name)" mov_text
is "the size of web" "$(look anna.web.mp4 v width,height)" 1920,1080
is "the poster" "$(look anna.poster.jpg v codec_name,width)" mjpeg,1080
is "the GIF" "$(look anna.gif v codec_name,width)" gif,270
[ "$(stat -c %s out/delivery/clips/anna.gif)" -le 1000000 ] || fail "a GIF of more than a megabyte"
awk "BEGIN{exit !($(look anna.mp4 v duration) >= 3)}" || fail "reels of less than 3 s"
[ -z "$(look mute.mp4 s codec_name)" ] || fail "a row without a text has subtitles"
loudness=$(ffmpeg -hide_banner -nostats -i out/delivery/clips/anna.mp4 -af ebur128=peak=true -f null - 2>&1 | sed -n '/Summary/,$p')
awk -v i="$(sed -n 's/.*I: *\([-0-9.]*\) LUFS/\1/p' <<<"$loudness")" -v p="$(sed -n 's/.*Peak: *\([-0-9.]*\) dBFS/\1/p' <<<"$loudness")" \
  'BEGIN{exit !(i > -15 && i < -13 && p <= -1.4)}' || fail "loudness: $loudness"
if command -v mediainfo >/dev/null; then
  is "by mediainfo, reels" "$(mediainfo --Inform='Video;%Format%,%FrameRate_Mode%,%colour_primaries%,%Width%' out/delivery/clips/anna.mp4)" AVC,CFR,BT.709,1080
  is "by mediainfo, stream first" "$(mediainfo --Inform='General;%IsStreamable%' out/delivery/clips/anna.mp4)" Yes
fi
if command -v zbarimg >/dev/null; then
  ffmpeg -v error -y -ss 1 -i out/delivery/clips/anna.mp4 -frames:v 1 frame.png
  is "the code in a frame of reels" "$(zbarimg -q --nodbus --raw frame.png)" https://example.com/anna
else
  echo "the code was not read back: no zbarimg (apt-get install zbar-tools)"
fi
[ "$(stat -c %a out/voices)" = 700 ] || fail "the folder of voices can be read by others"
! grep -rqi 'anna {x}' out/events.jsonl out/logs || fail "a customer's name is in the logs"
[ -n "$(find out/voices -name '*.wav')" ] || fail "no voice is kept"
"$PROGRAM" erase out anna --by rita >/dev/null || fail "erase"
[ -z "$(find out/voices -type f 2>/dev/null)" ] || fail "what was said to a customer who was erased is kept: $(ls out/voices)"
found=$(grep -rlaF 'Anna {x}' out || true)
[ -z "$found" ] || fail "the name of a customer who was erased is in: $found"
echo "voice, music, subtitles, texts, codes, label and five renditions are what they should be"
