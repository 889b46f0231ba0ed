#!/usr/bin/env bash
# One clip in every rendition of configs/renditions.yaml, and each of its files beside what that file says of it: profiles.py asks ffprobe,
# mediainfo and ffmpeg, which know nothing of us. A tone begins with a magenta square, so that sound and picture can be timed in each file.
source "$(dirname "$0")/../fault/farm.sh"
PROFILES=$SOURCE/configs/renditions.yaml
for tool in ffmpeg ffprobe mediainfo; do command -v $tool >/dev/null || skip "no $tool (apt-get install ffmpeg mediainfo)"; done

ffmpeg -v error -f lavfi -i 'sine=frequency=330:duration=2:sample_rate=22050' -ac 1 bed.flac || fail "no bed"
ffmpeg -v error -f lavfi -i 'aevalsrc=between(t\,0.7\,1.2)*sin(2*PI*3000*t)/2:duration=1.5:sample_rate=48000' tone.wav || fail "no tone"
ffmpeg -v error -f lavfi -i color=magenta:size=64x64 -frames:v 1 square.png || fail "no picture"
names=$(sed -n 's/^\([a-z0-9_-]*\):.*/\1/p' "$PROFILES" | paste -sd,)
printf 'id,name\nanna,Anna\n' >all.csv
cat >all.yaml <<Y
campaign: all
model: $MODEL
customers: all.csv
prompt: a red cat
seed: 5
size: 64x96
frames: 17
fps: 8
steps: 2
guidance: 4.0
renditions: [$names]
voice: {file: tone.wav, text: "Hallo {{name}}", language: de, at: 0.3}
music: {file: bed.flac, gain_db: -20}
subtitles: track
overlays:
  - {image: square.png, place: centre, scale: 0.3, from: 1.0, to: 1.5, fade: 0}
  - {text: "For {{name}}", place: bottom}
label: {profile: eu}
Y
"$PROGRAM" run all.yaml --out out --workers 1 2>run.err || fail "the campaign's exit status is $?"
python3 "$SOURCE/tests/farm/profiles.py" "$PROFILES" out/delivery/clips anna 8
