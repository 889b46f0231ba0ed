#!/usr/bin/env bash
# run_speak.sh PROGRAM SOURCE: a model that speaks, as a user meets it: a picture and a sound become a video with the sound in it, in clips; it
# goes on after a kill inside a clip and between two; what it hears changes it.
set -u
RW=$1 SOURCE=$2 bad=0
M=$SOURCE/tests/parity/fixtures/s2v/two-heads/model FACE=$SOURCE/models/face.png
work=$(mktemp -d) && cd "$work" || exit 1
trap 'rm -rf "$work"' EXIT
export OMP_WAIT_POLICY=passive

fail() {
  echo "FAILED: $*"
  bad=1
}
speak() { # OUTPUT ARGUMENT...: 5 seconds of it, two clips
  local out=$1
  shift
  timeout 120 "$RW" render --model "$M" --prompt 'a woman speaks' --image "$FACE" --width 64 --height 64 --steps 2 --seed 3 --quiet \
    --output "$out" "$@"
}
tone() { ffmpeg -v error -y -f lavfi -i "sine=frequency=$1:duration=5" -af tremolo=f=3 "$2"; }
tone 300 voice.wav
tone 500 other.flac

# ---- the file: both begin at 0, and last as long ----
speak whole.mp4 --audio voice.wav --json >whole.json || fail 'it does not speak'
grep -q '"frames": 80' whole.json || fail "5 s are not 80 frames: $(cat whole.json)"
read -r -d '' layout < <(ffprobe -v error -show_entries stream=codec_type,start_time,nb_frames -of csv=p=0 whole.mp4 && printf '\0')
case $layout in
  *video,0.000000,80*audio,0.000000,*) ;;
  *) fail "picture and sound: $layout" ;;
esac

# ---- killed between the two clips, and inside the second: the same bytes ----
for step in 2 3; do
  REELWRIGHT_PROVOKE="at=denoise,step=$step,do=kill" speak killed.mp4 --audio voice.wav --checkpoint c.h5 --checkpoint-every 1 2>said
  [ -e c.h5 ] && [ ! -e killed.mp4 ] || fail "killed at $step: no checkpoint, or a file: $(cat said)"
  speak resumed.mp4 --audio voice.wav --checkpoint c.h5 --resume --json >resumed.json || fail "killed at $step: it does not go on"
  grep -q "\"steps_resumed\": $step" resumed.json || fail "killed at $step: it began anew: $(cat resumed.json)"
  cmp whole.mp4 resumed.mp4 || fail "killed at $step: other bytes"
  rm -f c.h5 killed.mp4
done

# ---- what is heard counts: other pictures, another shot; the same sound under another name does not ----
speak other.mp4 --audio other.flac --json >other.json || fail 'the other sound'
cp voice.wav renamed.wav
speak renamed.mp4 --audio renamed.wav --frames 20 --json >renamed.json || fail '--frames'
shot() { grep -o '"shot": "[0-9a-f]*"' "$1"; }
[ "$(shot whole.json)" != "$(shot other.json)" ] || fail 'another sound is the same shot'
speak short.mp4 --audio voice.wav --frames 20 --json >short.json || fail '--frames'
[ "$(shot short.json)" = "$(shot renamed.json)" ] || fail "a sound's name makes another shot"
psnr=$(ffmpeg -v info -i whole.mp4 -i other.mp4 -lavfi '[0:v][1:v]psnr' -f null - 2>&1 | grep -o 'average:[0-9.inf]*')
echo "one voice beside another: PSNR $psnr"
case $psnr in average:inf | '') fail 'what is heard does not show' ;; esac

# ---- refused before any weight is read ----
refused() { # TEXT ARGUMENT...
  local text=$1 said status=0
  shift
  said=$(timeout 60 "$RW" render --model "$M" --prompt x --output r.mp4 "$@" 2>&1) || status=$?
  [ "$status" = 2 ] && case $said in *"$text"*) return ;; esac
  fail "status $status, expected 2 and \"$text\": $said"
}
refused '--audio is missing' --image "$FACE"
refused '--image is missing' --audio voice.wav
refused 'no sound file' --image "$FACE" --audio "$FACE"
refused 'fps = 24, expected 16' --image "$FACE" --audio voice.wav --fps 24
refused 'height = 48, expected a multiple of 64' --image "$FACE" --audio voice.wav --height 48
cp voice.wav own.wav
refused 'is the same file' --image "$FACE" --audio own.wav --output own.wav
cmp own.wav voice.wav || fail 'a render wrote over its sound'
cp -rL "$M" cut && truncate -s 300 cut/audio_encoder/model.safetensors
"$RW" inspect cut 2>&1 | grep -q 'audio_encoder/model.safetensors: .*truncated' || fail 'inspect does not look at what the model hears with'
exit $bad
