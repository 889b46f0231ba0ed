#!/usr/bin/env bash
# Ten thousand clips and two reviewers at once: how long the page takes, and that no word is lost. Its first argument is many_clips, its fourth the program.
PROGRAM_AT=$4
tests=$(cd "$(dirname "$0")" && pwd)
source "$(dirname "$0")/../fault/farm.sh"
ffmpeg -v error -y -f lavfi -i testsrc2=s=96x160:r=10 -t 1 -c:v libx264 -pix_fmt yuv420p clip.mp4
ffmpeg -v error -y -f lavfi -i testsrc2=s=96x160 -frames:v 1 clip.png
"$PROGRAM" out "${REELWRIGHT_CLIPS:-10000}" clip.mp4 clip.png || fail "cannot make the clips"
python3 "$tests/review_many.py" "$PROGRAM_AT" out || fail "with many clips"
