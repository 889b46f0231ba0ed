#!/usr/bin/env bash
# Campaigns of every kind of model, with the pictures that it takes: the same latents, bit for bit, as `render` makes, and the same
# key. And a picture that changes after the plan. $REELWRIGHT_REFERENCES names a folder with more models of that form.
source "$(dirname "$0")/../fault/farm.sh"
FIXTURES=$(cd "$MODEL/../.." && pwd)
trap 'kill "${LAUNCHER:-}" 2>/dev/null || true' EXIT

number_of() { sed -n "s/.*\"$2\": \([0-9.]*\)[,}].*/\1/p" "$1/reference.json" | head -n 1; } # FOLDER KEY

names=()
for folder in "$FIXTURES"/*-0 ${REELWRIGHT_REFERENCES:+"$REELWRIGHT_REFERENCES"/*-0}; do
  name=$(basename "$folder") keys='' options=()
  if [ -f "$folder/image.png" ]; then
    keys+=$'image: "{{image}}"\n'
    options+=(--image "$folder/image.png")
  fi
  if [ -f "$folder/image_last.png" ]; then
    keys+="last_image: $folder/image_last.png"$'\n'
    options+=(--last-image "$folder/image_last.png")
  fi
  if [ -f "$folder/ref.png" ]; then
    keys+="references: [$folder/ref.png]"$'\n'"control: {video: $folder/video, mask: $folder/mask, scale: [1.0, 0.75]}"$'\n'
    options+=(--reference "$folder/ref.png" --control-video "$folder/video" --control-mask "$folder/mask" --control-scale 1,0.75)
  fi
  width=$(number_of "$folder" width) height=$(number_of "$folder" height)
  printf 'campaign: %s\nmodel: %s\ncustomers: %s.csv\nprompt: a red cat\nnegative: blurry\nseed: 5\n' "$name" "$folder/model" "$name" >"$name.yaml"
  printf 'size: %sx%s\nframes: 9\nfps: 8\nsteps: 2\nguidance: 4\nrenditions: [preview]\n%s' "$width" "$height" "$keys" >>"$name.yaml"
  printf 'id,image\na,%s/image.png\n' "$folder" >"$name.csv"
  "$PROGRAM" render --model "$folder/model" --prompt 'a red cat' --negative blurry --seed 5 --width "$width" --height "$height" --frames 9 \
    --fps 8 --steps 2 --guidance 4 "${options[@]}" --output "$name.mp4" --checkpoint "$name.h5" --json >"$name.json" 2>>"$name.err" ||
    fail "render of $name"
  names+=("$name")
done
# the same with an adapter
lora=$FIXTURES/calls/lora-published/lora0.safetensors
sed "s/^campaign:.*/campaign: lora/; s/^customers:.*/customers: t2v-0.csv/" t2v-0.yaml >lora.yaml
printf 'loras: [{file: %s, scale: 0.5}]\n' "$lora" >>lora.yaml
"$PROGRAM" render --model "$MODEL" --lora "$lora:0.5" --prompt 'a red cat' --negative blurry --seed 5 --width "$(number_of "$FIXTURES/t2v-0" width)" \
  --height "$(number_of "$FIXTURES/t2v-0" height)" --frames 9 --fps 8 --steps 2 --guidance 4 --output lora.mp4 --checkpoint lora.h5 --json >lora.json 2>>lora.err ||
  fail "render with an adapter"
! cmp -s lora.h5 t2v-0.h5 || fail "the adapter changes nothing"
names+=(lora)
[ "${#names[@]}" -ge 5 ] || fail "only ${#names[@]} kinds of models in $FIXTURES"
"$PROGRAM" run "${names[@]/%/.yaml}" --out out --workers 1 2>>all.err || fail "the campaigns' exit status is $?"
for name in "${names[@]}"; do
  key=$(sed 's/.*"shot": "\([0-9a-f]*\)".*/\1/' "$name.json")
  [ "${#key}" = 64 ] || fail "no key in $name.json"
  cmp "$name.h5" "out/$name/latents/$key.h5" || fail "$name: the campaign's latents are not those of render"
done
"$PROGRAM" dossier out/lora --json | python3 -c '
import json, sys
parts = [p for p in json.load(sys.stdin)["model"]["parts"] if p["part"] == "lora lora0.safetensors"]
assert len(parts) == 1 and parts[0]["rows"] == 1 and len(parts[0]["sha256"]) == 64, parts' || fail "the dossier does not name the adapter"
echo "the same latents, bit for bit: ${names[*]}"

# a picture that changes between the plan and the render
cp "$FIXTURES/i2v_a14b-0/image.png" b.png
sed "s/^campaign:.*/campaign: late/; s/^customers:.*/customers: late.csv/" i2v_a14b-0.yaml >late.yaml
printf 'id,image\na,%s/i2v_a14b-0/image.png\nb,b.png\n' "$FIXTURES" >late.csv
sed -i 's/^prompt:.*/prompt: "a red cat {{id}}"/' late.yaml
provoke "at=load,clip=a,do=hold,until=$WORK/go,once=held"
WORKERS=1 run late
until_true 60 test -e held
cp "$FIXTURES/flf2v-0/image_last.png" b.png
touch go
finish 1
grep -q '^b,.*,failed,.*image: the file has changed since it was planned' out-late/delivery/delivery.csv || fail "the list does not say why b failed"
grep -q '^a,.*,delivered,' out-late/delivery/delivery.csv || fail "a is not delivered"
"$PROGRAM" explain out-late b >said.txt
grep -q '^  made of  image: .*/b\.png$' said.txt || fail "explain does not say which picture: $(cat said.txt)"
! grep -r 'b\.png' out-late/events.jsonl out-late/logs || fail "a customer's file name is in the events or logs"
