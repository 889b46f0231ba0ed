#!/bin/sh
# Trains the pocket model and its cameo, or goes on training them: train.sh WORK. Every stage resumes; see README.md.
set -eu
work=${1:?usage: train.sh WORK}
cd "$(dirname "$0")"
python=${PYTHON:-python3}
mkdir -p "$work/model"
for part in tokenizer vae transformer text_encoder scheduler; do    # a fresh work folder starts from the published weights
    if [ -d "../pocket/$part" ] && [ ! -d "$work/model/$part" ]; then cp -r "../pocket/$part" "$work/model/"; fi
done
[ -d "$work/model/tokenizer" ] || "$python" tokenizer.py "$work/model/tokenizer"
if [ ! -f "$work/latents.pt" ]; then
    [ -d "$work/model/transformer" ] || "$python" train_vae.py --work "$work" --faces 1000
    "$python" latents.py --work "$work"
fi
"$python" train_dit.py --work "$work"
"$python" train_vae.py --work "$work" --decoder-only --faces 1000
"$python" gate.py --work "$work" || echo "the autoencoder is below its gate: train its decoder longer"
"$python" export.py --work "$work" --to ../pocket
[ -f "$work/latents-faces.pt" ] || "$python" latents.py --work "$work" --faces
"$python" train_cameo.py --work "$work"
"$python" export.py --work "$work" --to ../pocket-cameo --cameo-of ../pocket
