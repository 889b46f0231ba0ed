#!/usr/bin/env bash
# run_inputs.sh PROGRAM SOURCE: what people's files do to the program, as they meet it: weights that are none, prompts that are too long,
# names that steer terminals, outputs that are devices, pictures of all kinds. Each case says what it expects; all of them are run.
set -u
RW=$1 SOURCE=$2 M=$2/models bad=0
work=$(mktemp -d) && cd "$work" || exit 1
trap 'chmod -R u+rwX "$work"; rm -rf "$work"' EXIT

# expect NAME STATUS TEXT COMMAND...: the command ends so, and says so (stdout and stderr together).
expect() {
  local name=$1 status=$2 text=$3 got
  shift 3
  said=$(timeout 60 "$@" 2>&1 </dev/null) && got=0 || got=$?
  [ "$got" = "$status" ] && case $said in *"$text"*) return 0 ;; esac
  printf '%s: status %s, expected %s and "%s":\n%s\n' "$name" "$got" "$status" "$text" "$said" | cut -c1-600
  bad=1
}
same() { # NAME A B
  [ "$2" = "$3" ] && return 0
  printf '%s: %s, expected %s\n' "$1" "$2" "$3"
  bad=1
}
# campaign NAME LINE...: NAME.yaml over c.csv
campaign() {
  local name=$1
  shift
  printf '%s\n' "campaign: $name" "customers: c.csv" "steps: 1" "frames: 5" "renditions: [master]" "$@" >"$name.yaml"
}
printf 'id,colour\na1,blue\na2,green\n' >c.csv
ln -s "$M/pocket" pocket
ln -s "$M/pocket-cameo" cameo

# ---- weights: headers are read before the night ----
F=transformer/diffusion_pytorch_model.safetensors
for kind in absent cut pointer page empty other; do
  cp -r "$M/pocket" $kind
  case $kind in
    absent) rm $kind/$F ;;
    cut) truncate -s 3000000 $kind/$F ;;
    pointer) printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7446144\n' >$kind/$F ;;
    page) printf '<!DOCTYPE html><html>Sign in</html>' >$kind/$F ;;
    empty) : >$kind/$F ;;
    other) cp "$kind/vae/diffusion_pytorch_model.safetensors" $kind/$F ;;
  esac
  campaign $kind "model: $kind" 'prompt: x'
done
expect absent 2 "$F: neither this file" "$RW" check absent.yaml
expect cut 2 "cut short" "$RW" check cut.yaml
expect pointer 2 "a Git LFS pointer" "$RW" check pointer.yaml
expect page 2 "a web page" "$RW" check page.yaml
expect empty 2 "$F: empty" "$RW" check empty.yaml
expect other 2 "$F: tensor" "$RW" check other.yaml
expect 'run of a pointer' 2 "a Git LFS pointer" "$RW" run pointer.yaml --out out-pointer
[ ! -e out-pointer ] || { echo 'run of a pointer: it made its folder'; bad=1; }
cp -r "$M/pocket" adapter && cp "$M/pocket/$F" adapter/pytorch_lora_weights.safetensors
campaign adapter 'model: adapter' 'prompt: x'
expect adapter 0 'pytorch_lora_weights.safetensors lies beside the model' "$RW" check adapter.yaml

# ---- inspect: what is no model, and is told apart ----
expect 'a part of a model' 0 'lay it into MODEL/transformer/' "$RW" inspect pocket/transformer
expect 'a part without weights' 2 'tokenizer: no model folder, for it has no model_index.json; it holds 0 files of weights; the folder above it is a model' "$RW" inspect pocket/tokenizer
mkdir shards && : >shards/a-00001-of-00002.safetensors && : >shards/a-00002-of-00002.safetensors
expect 'shards' 2 'shards: no model folder, for it has no model_index.json; it holds 2 files of weights: inspect one of them' "$RW" inspect shards
expect 'a list' 2 'c.csv: nothing that can be inspected; expected a checkpoint' "$RW" inspect c.csv
{ printf 'RIFF\244\0\0\0WAVEfmt \20\0\0\0\1\0\1\0\100\37\0\0\200\76\0\0\2\0\20\0data\200\0\0\0'; head -c 128 /dev/zero; } >tone.wav
expect 'a sound' 0 '"sample_rate": 8000' "$RW" inspect --json tone.wav
expect 'a sound is no clip' 0 '"kind": "sound"' "$RW" inspect --json tone.wav
expect 'a folder that is no model' 2 'shards/model_index.json: no such file, so this is no model' "$RW" render --model shards --prompt x --output x.mp4
expect 'a folder as an adapter' 2 'pocket: no regular file, but a folder' "$RW" render --model pocket --prompt x --lora pocket --output x.mp4
expect 'a sound as an adapter' 2 'tone.wav: no safetensors file' "$RW" render --model pocket --prompt x --lora tone.wav --output x.mp4
expect 'fp8 stays' 0 'on CPUs fp8 weights of products stay fp8' "$RW" inspect "$SOURCE/tests/parity/fixtures/calls/single-fp8/model/transformer/wan-fp8.safetensors"
# scales of fp8: each is one number above 0, or the file is refused before anything is read
cat >scale.py <<'PY'
# scale.py FILE DTYPE SHAPE BYTES: another scale for one weight
import json, struct, sys
path, dtype, shape, data = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), bytes.fromhex(sys.argv[4])
old = open(path, 'rb').read()
end = 8 + struct.unpack('<Q', old[:8])[0]
header, rest = json.loads(old[8:end]), b''
for name in sorted(header, key=lambda name: header[name]['data_offsets']):
    first, last = header[name]['data_offsets']
    now = old[end + first:end + last]
    if name == 'model.diffusion_model.blocks.0.ffn.2.scale_weight': header[name], now = {'dtype': dtype, 'shape': shape}, data
    header[name]['data_offsets'] = [len(rest), len(rest) + len(now)]
    rest += now
text = json.dumps(header).encode()
open(path, 'wb').write(struct.pack('<Q', len(text)) + text + rest)
PY
scaled() { # NAME STATUS TEXT DTYPE SHAPE BYTES
  rm -rf scaled && cp -rL "$SOURCE/tests/parity/fixtures/calls/single-fp8/model" scaled
  python3 scale.py scaled/transformer/wan-fp8.safetensors "${@:4}"
  expect "a scale: $1" "$2" "$3" "$RW" render --model scaled --prompt x --width 48 --height 32 --frames 5 --steps 1 --quiet --output scaled.mp4
}
scaled 'one' 0 '' F32 '[1]' 0000803c
scaled 'zero' 2 'blocks.0.ffn.2.scale_weight" is 0, expected a number above 0' F32 '[]' 00000000
scaled 'negative' 2 'is -1, expected a number above 0' F32 '[]' 000080bf
scaled 'no number' 2 'expected a number above 0' F32 '[]' 0000c07f
scaled 'two' 2 'is [2] of type F32, expected one number' F32 '[2]' 0000803c0000803c
scaled 'none' 2 'is [0] of type F32, expected one number' F32 '[0]' ''
scaled 'whole numbers' 2 'of type I32, expected one number' I32 '[]' 01000000

expect 'bench of a cut model' 2 'error: --model cut: ' "$RW" bench --model cut --out bench.json

# ---- adapters: their headers are compared with the model's ----
# lora FILE HEADER BYTES: a safetensors file of zeros
lora() {
  printf "\\x$(printf %x $((${#2} % 256)))\\x$(printf %x $((${#2} / 256)))\\0\\0\\0\\0\\0\\0" >"$1"
  printf '%s' "$2" >>"$1"
  head -c "$3" /dev/zero >>"$1"
}
q=transformer.blocks.0.attn1.to_q
lora fits.safetensors "{\"$q.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,192],\"data_offsets\":[0,768]},\"$q.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[192,1],\"data_offsets\":[768,1536]}}" 1536
lora wide.safetensors "{\"$q.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[1,5120],\"data_offsets\":[0,20480]},\"$q.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[5120,1],\"data_offsets\":[20480,40960]}}" 40960
lora rank.safetensors "{\"$q.lora_A.weight\":{\"dtype\":\"F32\",\"shape\":[2,192],\"data_offsets\":[0,1536]},\"$q.lora_B.weight\":{\"dtype\":\"F32\",\"shape\":[192,1],\"data_offsets\":[1536,2304]}}" 2304
lora other.safetensors '{"transformer.single_blocks.0.lora_A.weight":{"dtype":"F32","shape":[1,8],"data_offsets":[0,32]},"transformer.single_blocks.0.lora_B.weight":{"dtype":"F32","shape":[8,1],"data_offsets":[32,64]}}' 64
for kind in fits wide rank other; do campaign lora_$kind 'model: pocket' 'prompt: x' "loras: [{file: $kind.safetensors}]"; done
expect 'an adapter that fits' 0 '' "$RW" check lora_fits.yaml
expect 'an adapter of a wider model' 2 'lora_wide.yaml:8: field loras: "wide.safetensors": tensor "'$q'.lora_A.weight" is [1,5120], expected [rank,192]' "$RW" check lora_wide.yaml
expect 'an adapter of two ranks' 2 'is [192,1], expected [192,2]' "$RW" check lora_rank.yaml
expect 'an adapter of another model' 2 'single_blocks.0.lora_A.weight" [1,8] matches nothing in this model, as do 1 more of its 2' "$RW" check lora_other.yaml
printf 'id,style\na1,\na2,wide.safetensors\n' >styles.csv
campaign lora_rows 'model: pocket' 'prompt: x' 'loras: [{file: "{{style|}}"}]' && sed -i 's/c.csv/styles.csv/' lora_rows.yaml
expect 'an adapter of a row' 2 'styles.csv:3: field style: loras "wide.safetensors": tensor' "$RW" run lora_rows.yaml --out out-rows

# names and numbers in damaged files: no line is forged, nothing crashes
head='{"\u001b[2J\nreelwright: error: forged":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}'
cp -r "$M/pocket" forged && { printf "\\x$(printf %x ${#head})\\0\\0\\0\\0\\0\\0\\0"; printf '%s1234' "$head"; } >forged/$F
expect 'a tensor that forges a line' 2 'tensor "?[2J?reelwright: error: forged"' "$RW" inspect forged
cp -r "$SOURCE/tests/parity/fixtures/flf2v-0/model" positions && sed -i 's/"pos_embed_seq_len": 34/"pos_embed_seq_len": 3/' positions/transformer/config.json
expect 'positions of no pictures' 2 'pos_embed_seq_len = 3, expected 34' "$RW" inspect positions

# a folder as newer libraries save it: without spiece.model
cp -r "$M/pocket" saved && rm saved/tokenizer/spiece.model
cat >saved/tokenizer/tokenizer_config.json <<'JSON'
{"backend": "tokenizers", "eos_token": "</s>", "extra_ids": 0, "extra_special_tokens": ["<pad>", "</s>"], "is_local": true,
 "local_files_only": true, "model_max_length": 1000000000000000019884624838656, "pad_token": "<pad>", "tokenizer_class": "T5Tokenizer",
 "unk_id": 2, "unk_token": "<unk>"}
JSON
for model in saved pocket; do
  expect "$model, rendered" 0 '' "$RW" render --model $model --prompt 'a red balloon' --steps 1 --frames 5 --quiet --output $model.mp4
done
same 'its bytes' "$(sha256sum <saved.mp4)" "$(sha256sum <pocket.mp4)"

# ---- prompts longer than what the model reads ----
long=$(printf 'balloon over the beach at sunset, %.0s' {1..90})
campaign long 'model: pocket' "prompt: \"$long {{colour}}\"" 'seed: 1'
expect long 0 'the model reads the first 512 and never sees the rest; 1 more prompt is too long' "$RW" check long.yaml
expect 'long, of the second row' 0 '1 of them reads the same to the model' "$RW" check long.yaml
expect 'long, rendered' 0 '--prompt: ' "$RW" render --model pocket --prompt "$long" --steps 1 --frames 5 --output long.mp4

# ---- where clips go: a pipe, a link, a name with a colon ----
clip=(render --model pocket --prompt x --steps 1 --frames 5 --quiet)
mkfifo pipe && : >real.mp4 && ln -s real.mp4 link.mp4
expect 'output to a pipe' 2 '--output: pipe: a pipe' "$RW" "${clip[@]}" --output pipe
same 'the pipe' "$(stat -c %F pipe)" fifo
expect 'trace to a pipe' 2 '--trace: pipe: a pipe' "$RW" "${clip[@]}" --output t.mp4 --trace pipe
expect 'output to a link' 0 '' "$RW" "${clip[@]}" --output link.mp4
same 'the link' "$(stat -c %F link.mp4)" 'symbolic link'
[ -s real.mp4 ] || { echo 'the link: nothing came to its end'; bad=1; }
expect 'a colon' 0 '' "$RW" "${clip[@]}" --output 06:00.mp4
expect 'a colon, inspected' 0 h264 "$RW" inspect 06:00.mp4
cp "$M/face.png" 07:00.png
expect 'a colon, as a picture' 0 '' "$RW" "${clip[@]}" --model cameo --reference 07:00.png --output t.mp4

# ---- what is written is never what is read ----
printf 'notes' >notes.h5
expect 'output over the noise' 2 'is the same file' "$RW" "${clip[@]}" --noise notes.h5 --output notes.h5
expect 'checkpoint over the adapter' 2 'is the same file' "$RW" "${clip[@]}" --lora ./notes.h5 --checkpoint notes.h5 --output n.mp4
expect 'trace over the checkpoint' 2 'is the same file' "$RW" "${clip[@]}" --checkpoint n.h5 --trace n.h5 --output n.mp4
same 'what was read' "$(cat notes.h5)" notes

# ---- paths that are no UTF-8, in answers that programs read ----
odd=$(printf 'b\344d') && mkdir "$odd" && cp c.csv long.yaml "$odd" && ln -s ../pocket "$odd/pocket"
expect 'check --json' 0 '"file": "b?d/long.yaml"' "$RW" check --json "$odd/long.yaml"

expect 'render --json' 0 '"file": "b?d/a.mp4"' "$RW" "${clip[@]}" --json --output "$odd/a.mp4"
expect 'gate --json' 0 '"file": "b?d/a.mp4"' "$RW" gate --json "$odd/a.mp4"

# ---- what waits for ever: a pipe in the place of a file ----
campaign pipes 'model: pocket' 'prompt: x'
sed -i 's/c.csv/pipe/' pipes.yaml
expect 'a pipe as a table' 2 'pipe: a pipe' "$RW" check pipes.yaml
expect 'a pipe as a campaign' 2 'pipe: a pipe' "$RW" check pipe
expect 'a pipe as a clip' 2 'pipe: a pipe' "$RW" inspect pipe
cp -r "$M/pocket" piped && rm piped/vae/config.json piped/$F && mkfifo piped/vae/config.json
expect 'a pipe as a config' 2 'config.json: a pipe' "$RW" inspect piped
rm piped/vae/config.json && cp "$M/pocket/vae/config.json" piped/vae && mkfifo piped/$F
expect 'a pipe as weights' 2 'no regular file' "$RW" inspect piped
mkdir folder && mkfifo folder/ledger.db
expect 'a pipe as a ledger' 2 'ledger.db: expected a' "$RW" status folder

# ---- a whole night, whose output nobody reads, in a shell that an earlier job left its rank in; looked at afterwards ----
campaign night 'model: pocket' 'prompt: "{{colour}} ball"'
mkdir out && ln -s ../c.csv out/run.lock
expect 'a link called run.lock' 2 'run.lock: a symbolic link' "$RW" run night.yaml --out out --workers 1
same 'what the link leads to' "$(head -1 c.csv)" id,colour
rm -r out
(PMIX_NAMESPACE=x PMIX_RANK=0 "$RW" run night.yaml --out out --workers 1 2>&1; echo $? >night.status) | head -1 >/dev/null
same 'a run whose reader left' "$(cat night.status)" 0
[ "$(head -c 3 out/delivery.csv | od -An -tx1)" != ' ef bb bf' ] || { echo 'a byte order mark that the table had not'; bad=1; }
same 'its clips' "$(cd out/delivery/clips && echo *.mp4)" 'a1.mp4 a2.mp4'

# ---- the list looks like the table: a byte order mark, the customer's columns once ----
printf '\xef\xbb\xbfContactID;seed;thing\r\nb1;18446744073709551615;ball\r\n' >marked.csv
campaign marked 'model: pocket' 'prompt: "{{thing}} {{id}}"' 'id: ContactID' 'seed: "{{seed}}"'
sed -i 's/c.csv/marked.csv/' marked.yaml
expect 'a table of Excel' 0 'semicolons instead of commas' "$RW" run marked.yaml --out out2 --workers 1 --quiet
same 'the list begins' "$(head -c 22 out2/delivery.csv)" "$(printf '\xef\xbb\xbfContactID,thing,cli')"
same 'its seed' "$(tail -1 out2/delivery.csv | grep -o 18446744073709551615)" 18446744073709551615

# ---- one is one, in every text ----
said=$(for verb in "check marked.yaml" "run marked.yaml --out out3 --workers 1" "status out3" "explain out3 b1" "deliver out3" "verify out3" \
  "retry out3" "pause out3 b1" "review list out3 --all" "inspect out3"; do "$RW" $verb; done 2>&1; sed 's/<[^>]*>/ /g' out3/report/index.html)
nouns='clip|row|shot|render|worker|finisher|master|column|step|frame|file|text|warning|part|attempt|picture|rendition|value'
same 'what is said of one' "$(grep -oE "(^|[^0-9.,:/])1 (other |more |different )?($nouns)s\\b.*" <<<"$said")" ''
case $said in *'1 of 1 clip done'*) ;; *) echo "one clip is not counted: $said"; bad=1 ;; esac

# ---- what customers typed does not steer the terminal ----
printf 'id,thing\na1,"\033]0;owned\007\033[31mred\nreelwright: error: forged"\n' >typed.csv
campaign typed 'model: pocket' 'prompt: "{{thing}}"'
sed -i 's/c.csv/typed.csv/' typed.yaml
mkdir 'o $(touch x)' && expect 'a run of what was typed' 0 '' "$RW" run typed.yaml --out 'o $(touch x)/out' --workers 1
for verb in "check typed.yaml" "explain out a1" "status out" "review list out --all" "inspect out"; do
  said=$(cd 'o $(touch x)' && cp ../typed.* . && ln -sfn ../pocket pocket && "$RW" $verb 2>&1)
  same "the status of $verb" $? 0
  [ "$(printf '%s' "$said" | tr -d '\n -~' | LC_ALL=C tr -d '\200-\377' | wc -c)" = 0 ] || { echo "$verb: control characters"; bad=1; }
  [ -z "$(printf '%s\n' "$said" | grep '^reelwright: error: forged')" ] || { echo "$verb: a forged line"; bad=1; }
done

[ $bad = 0 ] && echo 'all as expected'
exit $bad
