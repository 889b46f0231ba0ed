#!/usr/bin/env bash
# A campaign whose rows have adapters of their own: none, one, two with scales, each for the transformer it is meant for. Every row's latents are
# those of `render --lora` with the same, whichever worker made them, after kills and in groups; what is wrong with one row's adapter is said
# before anything starts.
source "$(dirname "$0")/../fault/farm.sh"
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT
FIXTURES=$(cd "$MODEL/../.." && pwd)
IMAGE=$FIXTURES/i2v_a14b-0/image.png
cp "$FIXTURES"/calls/lora-experts/lora[01].safetensors .
cp lora1.safetensors copy.safetensors

ROWS=8
styled() { # NAME
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: "a red cat {{what}}"\nnegative: blurry\nseed: 5\nsize: 32x32\nframes: 5\nfps: 8\nsteps: 4\nguidance: 4\nrenditions: [preview]\nreview: {policy: none}\nimage: %s\n' \
    "$1" "$FIXTURES/i2v_a14b-0/model" "$1" "$IMAGE" >"$1.yaml"
  printf 'checkpoint: {every: 1}\nloras:\n  - {file: "{{style|}}", scale: 0.8, expert: high}\n  - {file: "{{move|}}", scale: 0.5}\n  - {file: "{{end|}}", scale: -0.3, expert: low}\n' >>"$1.yaml"
}
styled calm
cat >calm.csv <<'END'
id,what,style,move,end
none,sits,,,
high,sits,lora0.safetensors,,
both,sits,,lora1.safetensors,
all,sits,lora0.safetensors,lora1.safetensors,lora1.safetensors
again,runs,lora0.safetensors,,
none2,runs,,,
copy,sits,,copy.safetensors,
low,sits,,,lora1.safetensors
END
declare -A ADAPTERS=([none]='' [high]='lora0.safetensors:0.8:high' [both]='lora1.safetensors:0.5'
  [all]='lora0.safetensors:0.8:high lora1.safetensors:0.5 lora1.safetensors:-0.3:low' [again]='lora0.safetensors:0.8:high' [none2]=''
  [copy]='copy.safetensors:0.5' [low]='lora1.safetensors:-0.3:low')
declare -A DOES=([again]=runs [none2]=runs)
key_of() { "$PROGRAM" explain "out-$1" "$2" | sed -n 's/^  shot     \([0-9a-f]*\),.*/\1/p'; }

render() { # ROW FILE [options]: what the command makes of the row's text and adapters
  local options=() one
  for one in ${ADAPTERS[$1]}; do options+=(--lora "$one"); done
  "$PROGRAM" render --model "$FIXTURES/i2v_a14b-0/model" --prompt "a red cat ${DOES[$1]:-sits}" --negative blurry --seed 5 --width 32 --height 32 --frames 5 \
    --fps 8 --steps 4 --guidance 4 --image "$IMAGE" "${options[@]}" --output "$2.mp4" --checkpoint "$2.h5" --json "${@:3}" >"$2.json" 2>>render.err || fail "render of $1"
}

# ---- one worker: each row is what `render` makes, under the same key ----
WORKERS=1 run calm; finish 0
check_complete calm
for row in "${!ADAPTERS[@]}"; do
  render "$row" "$row"
  key=$(key_of calm "$row")
  grep -q "\"shot\": \"$key\"" "$row.json" || fail "$row: another key than render's"
  cmp "$row.h5" "out-calm/latents/$key.h5" || fail "$row: other latents than render's"
done
[ "$(key_of calm both)" = "$(key_of calm copy)" ] || fail "a copy of an adapter is rendered apart"
declare -A ROW
for row in "${!ADAPTERS[@]}"; do ROW[$(key_of calm "$row")]=$row; done
for key in $(events calm lease.given | sed -n 's/.*"kind":"render".*"shot":"\([0-9a-f]*\)".*/\1/p'); do echo "x${ADAPTERS[${ROW[$key]}]}"; done >order.txt
[ "$(wc -l <order.txt)" = 7 ] && [ "$(uniq order.txt | wc -l)" = "$(sort -u order.txt | wc -l)" ] || fail "adapters are changed more often than needed: $(cat order.txt)"
[ "$(find out-calm/latents -name '*.h5' | wc -l)" = 7 ] || fail "not 7 renders for 8 rows"
[ "$(sha256sum ./*.h5 | cut -d' ' -f1 | sort -u | wc -l)" = 7 ] || fail "two sets of adapters give the same latents"

# ---- two workers, one killed while it changes adapters and one in the middle of a shot; then the whole job ----
again killed
provoke "at=load,clip=high,do=kill,once=k1; at=denoise,step=3,clip=all,do=kill,once=k2"
run killed; finish 0
calm_down
[ -e k1 ] && [ -e k2 ] || fail "nobody was killed"
check_complete killed
same_files calm killed
again job
provoke "$HOLD"
run job
until_true 60 held job 2
kill_whole_job job 4

# ---- two ranks for one shot: as `render --group-size 2` ----
again pair
ROWS=5
sed -i '6,$d' pair.csv # none, high, both, all
echo 'again,runs,lora0.safetensors,,' >>pair.csv
run pair --group-size 2; finish 0
for row in none high all again; do
  render "$row" "pair-$row" --group-size 2
  cmp "pair-$row.h5" "out-pair/latents/$(key_of pair "$row").h5" || fail "$row in a group: other latents than render's"
done

# ---- what is wrong is said before anything starts: file, line, column, and a cause of many rows in few lines ----
again bad
head -c 20000 lora0.safetensors >cut.safetensors
cp "$FIXTURES/calls/lora-published/lora1.safetensors" control.safetensors
sed -i 's/blocks_1_ffn/blocks_9_ffn/g' control.safetensors # a layer that this model has not
cp "$FIXTURES/t2v-0/model/transformer"/*.safetensors base.safetensors
{
  printf 'id,what,style,move,end\na,sits,missing.safetensors,,\nb,sits,,base.safetensors,\nc,sits,,,control.safetensors\n'
  for i in {1..40}; do printf 'd%s,sits,cut.safetensors,lora1.safetensors,\n' "$i"; done
} >bad.csv
status_is 2 "$PROGRAM" check bad.yaml >bad.out 2>bad.err
for said in 'bad.csv:2: field style: loras "missing.safetensors": no such file' 'bad.csv:3: field move: loras "base.safetensors": no LoRA' \
  'bad.csv:4: field end: loras "control.safetensors": tensor "lora_unet_blocks_9_ffn_0.alpha" [] matches nothing' 'bad.csv:5: field style: loras "cut.safetensors": ' 'cut short, download it again (and so in 37 more lines)'; do
  grep -qF "$said" bad.err || fail "check does not say: $said"
done
[ "$(wc -l <bad.err)" = 7 ] || fail "$(wc -l <bad.err) lines for four causes"
