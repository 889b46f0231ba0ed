#!/bin/sh
# Runs the pocket model's whole training for a few steps: data, tokenizer, autoencoder, latents, transformer, cameo, export,
# rendered clips, the ruler. Quality is not the question, only that every program still works with the next.
# PYTHON names an interpreter with models/training/requirements.txt; without one the test is skipped (77).
# `smoke.sh check` only says whether it would run, and why not.
set -eu
python=${PYTHON:-python3}
here=$(cd "$(dirname "$0")/../../models" && pwd)
if ! why=$("$python" -c 'import torch, diffusers, transformers, sentencepiece, numpy, PIL' 2>&1); then
    echo "skipped: $(echo "$why" | tail -n 1) (install models/training/requirements.txt and set PYTHON)"
    exit 77
fi
command -v ffmpeg >/dev/null || { echo "skipped: no ffmpeg command"; exit 77; }
[ "${1:-}" != check ] || { echo "PyTorch and ffmpeg are here"; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here/training"
export PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1
"$python" captions.py
"$python" tokenizer.py "$work/model/tokenizer" >"$work/tokens" # no pipe: it would hide a failure
cat "$work/tokens"
if grep -q DIFFERENT "$work/tokens"; then echo "the two tokenizers differ"; exit 1; fi
"$python" train_vae.py --work "$work" --clips 8 --faces 4 --pictures 1 --steps 5 --processes 1
"$python" latents.py --work "$work" --count 8 --processes 2
"$python" latents.py --work "$work" --count 4 --faces --processes 1
for steps in 2 4; do    # the second run resumes the first
    "$python" train_dit.py --work "$work" --steps $steps --batch 2 --compile 0 --processes 2
done
rm -r "$work/state"     # and a later one can start from the weights alone
"$python" train_dit.py --work "$work" --steps 1 --batch 2 --compile 0 --processes 1
"$python" train_vae.py --work "$work" --clips 8 --steps 1 --decoder-only --processes 1
"$python" export.py --work "$work" --to "$work/exported"
"$python" train_cameo.py --work "$work" --steps 2 --batch 2 --compile 0 --processes 2
"$python" export.py --work "$work" --to "$work/exported-cameo" --cameo-of "$work/exported"
mkdir "$work/faces"
"$python" ../measure.py --prompts 1 --faces "$work/faces" > "$work/faces/prompts.csv"
"$python" render_reference.py "$work/faces/prompts.csv" --model "$work/exported-cameo" --steps 2
"$python" ../measure.py "$work/faces/prompts.csv"
"$python" ../measure.py --prompts 2 > "$work/prompts.csv"
"$python" render_reference.py "$work/prompts.csv" --model "$work/exported" --steps 2
"$python" ../measure.py "$work/prompts.csv" --json "$work/out.json" --sheet "$work/sheet.png"
"$python" ../measure.py --truth 6 --json "$work/truth.json"
"$python" ../measure.py --truth 6 --faces --json "$work/faces/truth.json"
"$python" - "$work/truth.json" "$work/faces/truth.json" <<'END'
import json, sys
for path in sys.argv[1:]:
    figures = json.load(open(path))["figures"]
    wrong = {k: v for k, v in figures.items() if isinstance(v, dict) and v.get("right") != v.get("of")}
    if wrong:
        sys.exit(f"the ruler misjudges drawn clips: {wrong}")
END
size=$(du -skc "$work/exported" "$work/exported-cameo" | tail -n 1 | cut -f1)
[ "$size" -le 24576 ] || { echo "the exported folders have $size kB, at most 24576 wanted"; exit 1; }
echo "pocket model smoke test: all stages ran, the exported folders have $size kB"
