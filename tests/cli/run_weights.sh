#!/usr/bin/env bash
# Weights and adapters as people have them (weight_files.py writes them): under every prefix, in every type, all parts in one file. Each gives the
# picture that the plain files give, or is refused by a name that says why.
set -euo pipefail
PROGRAM=$1 SOURCE=$2 WORK=$3
FIXTURES=$SOURCE/tests/parity/fixtures
python3 "$SOURCE/tests/cli/weight_files.py" "$WORK" "$FIXTURES"
cd "$WORK"
fail() { echo "FAILED: $*" >&2; exit 1; }
render() { # MODEL TO [options]
  "$PROGRAM" render --model "$1/model" --prompt 'a red cat' --negative blurry --guidance 4 --seed 5 --width 32 --height 32 --frames 5 --steps 1 \
    --output "$2.mp4" "${@:3}" >/dev/null 2>"$2.err"
}
same() { cmp "$1.mp4" "$2.mp4" || fail "$2 shows another picture than $1"; }

# ---- models ----
render plain plain || fail "the plain model: $(cat plain.err)"
render plain other --seed 6 && ! cmp -s plain.mp4 other.mp4 || fail "any picture is the same"
models=0
for folder in */model; do
  name=${folder%/model}
  [[ $name != bad-* ]] || continue
  render "$name" "$name" || fail "$name: $(cat "$name.err")"
  same plain "$name"
  models=$((models + 1))
done
for name in bad-stray bad-twice; do # no parts of one file: the names that belong to the model have no prefix
  status=0
  render "$name" "$name" || status=$?
  [ $status = 2 ] && grep -q 'tensor "transformer\..*" has no place in the model' "$name.err" || fail "$name: $status, $(cat "$name.err")"
done

# ---- adapters ----
with() { # NAME [FILE]
  render plain "lora-$1" --lora "lora-$1/${2:-lora.safetensors}:0.7"
}
adapters=0
for name in plain rounded padded $(ls -d lora-* | sed -n '/bad-/d; /^lora-\(plain\|rounded\|padded\)$/d; s/^lora-//p'); do
  with "$name" || fail "adapter $name: $(cat "lora-$name.err")"
  case $name in
    rounded | padded) ! cmp -s lora-plain.mp4 "lora-$name.mp4" || fail "any adapter is the same" ;;
    mixed) same lora-rounded lora-mixed ;; # five types in one file, of numbers that each of them has
    ranks) same lora-padded lora-ranks ;;  # a rank for each module, beside the same with zeros
    *) same lora-plain "lora-$name" ;;
  esac
  adapters=$((adapters + 1))
done
! cmp -s plain.mp4 lora-plain.mp4 || fail "the adapter changes nothing"

refused() { # NAME WORDS [FILE]
  local status=0
  with "$1" "${3:-lora.safetensors}" || status=$?
  [ $status = 2 ] || fail "adapter $1: exit status $status"
  grep -qF "$2" "lora-$1.err" || fail "adapter $1: $(cat "lora-$1.err")"
}
refused bad-text 'changes the text encoder'
refused bad-image 'k_img.lora_down.weight" [1] changes how a picture is heard, and this model has no such part'
refused bad-mid 'belongs to LoCon with a middle'
refused bad-loha 'belongs to LoHa'
refused bad-lokr 'belongs to LoKr'
refused bad-dora 'belongs to DoRA'
refused bad-unknown 'q.diff_x" [1] matches nothing in this model; expected'
refused bad-index 'a JSON text, not the weights'
refused bad-pytorch 'a PyTorch file'
refused bad-alpha 'says lora_alpha = 6 at rank 3 and is not read; copy the file to another name and give its scale times 2' adapter_model.safetensors
refused bad-patterns 'has an alpha_pattern or a rank_pattern' adapter_model.safetensors

# ---- what check says of such files, and inspect ----
printf 'campaign: c\nmodel: plain/model\ncustomers: c.csv\nprompt: a\nloras: [{file: "lora-{{kind}}/lora.safetensors"}]\n' >c.yaml
printf 'id,kind\na,bad-index\nb,bad-pytorch\nc,bad-image\nd,mixed\n' >c.csv
"$PROGRAM" check c.yaml >c.out 2>c.err && fail "check takes three adapters that are none"
for said in 'c.csv:2: field kind: loras "lora-bad-index/lora.safetensors": a JSON text' 'c.csv:3: field kind: loras "lora-bad-pytorch/lora.safetensors": a PyTorch file' \
  'c.csv:4: field kind: loras "lora-bad-image/lora.safetensors": tensor "diffusion_model.blocks.0.cross_attn.k_img'; do
  grep -qF "$said" c.err || fail "check does not say $said: $(cat c.err)"
done
! grep -q 'c.csv:5' c.err || fail "check refuses an adapter in five types"
inspected() { "$PROGRAM" inspect "$1" >i.out && grep -q "$2" i.out || fail "inspect $1: $(cat i.out)"; }
inspected all-in-one/model/vae/any.safetensors 'also_holds *"vae, text_encoder"'
inspected vae-wan-first-stage/model/vae/any.safetensors 'model *"Wan2.1 VAE"'
inspected in-f64/model/transformer/any.safetensors 'stored_as *"F64 100 %"'
inspected transformer-both-wrappers/model/transformer/any.safetensors 'whole *true'
inspected lora-peft-compiled/lora.safetensors 'kind *"adapter"'
inspected lora-bad-loha/lora.safetensors 'LoHa'
echo "$models models and $adapters adapters show what the plain files show; 11 adapters are refused by name"
