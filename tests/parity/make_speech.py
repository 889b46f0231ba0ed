#!/usr/bin/env python3
"""What transformers and diffsynth compute of a voice, with random weights: wav2vec2, the frames of clips, the audio encoder.

    pip install transformers diffsynth==2.1.12
    make_speech.py --out tests/parity/fixtures/speech

writes for each kind a folder with
    audio_encoder/           config.json and model.safetensors of a tiny wav2vec2
    transformer.safetensors  the tensors "casual_audio_encoder.*", as a transformer's file has them
    reference.safetensors    per sound NAME: NAME.hidden (all hidden states), NAME.features, NAME.C.local and .global of clip C
    reference.json           the sounds' lengths in samples, and the sizes of the audio encoder

The sounds are computed, here and in voices.c, by the same whole numbers: see `sound`.
"""
import argparse
import json
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from diffsynth.models.wan_video_dit_s2v import WanS2VModel, CausalAudioEncoder
from diffsynth.models.wav2vec import WanS2VAudioEncoder
from safetensors.torch import save_file
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

CLIP = 80
# "old": names as torch.nn.utils.weight_norm has them, in a file of Wav2Vec2ForCTC; "new": parametrizations, of Wav2Vec2Model, in fp16
KINDS = {
    "old": dict(seed=1, sounds={"short": 4800, "clip": 80079, "boundary": 80080, "silence": 16000, "long": 118400}, dim=32, tokens=4,
                config=dict(hidden_size=32, num_hidden_layers=3, num_attention_heads=2, intermediate_size=48, conv_dim=[8] * 7,
                            num_conv_pos_embeddings=128, num_conv_pos_embedding_groups=16)),
    "new": dict(seed=2, sounds={"least": 720, "short": 4801, "long": 83999}, dim=24, tokens=3,
                config=dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
                            conv_dim=[6, 8, 7, 16, 5, 10, 12], num_conv_pos_embeddings=5, num_conv_pos_embedding_groups=4)),
}


def sound(samples, silence):
    """Noise of seven loudnesses around 0.1, in numbers of 24 bits."""
    state, out = 1, np.empty(samples, np.float32)
    for i in range(samples):
        state = (state * 6364136223846793005 + 1442695040888963407) & (2 ** 64 - 1)
        whole = (state >> 40) - 2 ** 23
        out[i] = np.float32(whole) / np.float32(2 ** 23) * np.float32(i // 1600 % 7 + 1) / np.float32(8) + np.float32(0.1)
    return np.zeros_like(out) if silence else out


def draw(module, seed):
    """Every tensor so large that it shows: gains near 1, the rest by its inputs."""
    g = torch.Generator().manual_seed(seed)
    for name, p in module.named_parameters():
        scale = 0.3 if p.ndim < 2 else (p.shape[0] / p.numel()) ** 0.5
        middle = 1.0 if name.endswith(("norm.weight", "original0")) else 0.0
        p.data = middle + scale * torch.randn(p.shape, generator=g)


def published(model):
    """The last hidden state behind the encoder's last norm, as transformers has it before 5.0, which Wan2.2 was made with; newer ones before it."""
    forward = model.forward

    def run(values, **kw):
        r = forward(values, **kw)
        r.hidden_states = r.hidden_states[:-1] + (model.wav2vec2(values).last_hidden_state,)
        return r
    model.forward = run
    return model


def make(out, kind):
    v = KINDS[kind]
    os.makedirs(f"{out}/audio_encoder", exist_ok=True)
    config = Wav2Vec2Config(do_stable_layer_norm=True, feat_extract_norm="layer", conv_bias=True, vocab_size=33, apply_spec_augment=False,
                            conv_kernel=[10, 3, 3, 3, 3, 2, 2], conv_stride=[5, 2, 2, 2, 2, 2, 2], **v["config"])
    encoder = WanS2VAudioEncoder.__new__(WanS2VAudioEncoder)  # its own constructor has the published sizes
    torch.nn.Module.__init__(encoder)
    encoder.model, encoder.video_rate = published(Wav2Vec2ForCTC(config).eval()), 30
    draw(encoder.model, v["seed"])
    if kind == "new":
        encoder.model.half().float()
    tensors = {k: t.contiguous() for k, t in encoder.model.state_dict().items()}
    if kind == "old":
        tensors = {k.replace("parametrizations.weight.original0", "weight_g").replace("parametrizations.weight.original1", "weight_v"): t
                   for k, t in tensors.items()}
    else:
        tensors = {k.removeprefix("wav2vec2."): t.half() for k, t in tensors.items() if k.startswith("wav2vec2.")}
    save_file(tensors, f"{out}/audio_encoder/model.safetensors", metadata={"format": "pt"})
    config.save_pretrained(f"{out}/audio_encoder")
    processor = Wav2Vec2FeatureExtractor()

    layers = config.num_hidden_layers + 1
    audio = CausalAudioEncoder(dim=config.hidden_size, num_layers=layers, out_dim=v["dim"], num_token=v["tokens"], need_global=True).eval()
    draw(audio, v["seed"] + 100)
    save_file({f"casual_audio_encoder.{k}": t.contiguous() for k, t in audio.state_dict().items()}, f"{out}/transformer.safetensors")
    transformer = type("Transformer", (), {"casual_audio_encoder": audio})()

    got = {}
    for name, samples in v["sounds"].items():
        pcm = sound(samples, name == "silence")
        values = processor(pcm, sampling_rate=16000, return_tensors="pt").input_values
        states = encoder.model(values, output_hidden_states=True)
        assert len(states.hidden_states) == layers
        if samples <= 16000:
            got[f"{name}.hidden"] = torch.cat(states.hidden_states)
        clips = encoder.get_audio_feats_per_inference(pcm, 16000, processor, fps=16, batch_frames=CLIP)
        got[f"{name}.features"] = torch.cat(clips)
        for i, clip in enumerate(clips):
            everything, local = WanS2VModel.cal_audio_emb(transformer, clip)
            got[f"{name}.{i}.local"], got[f"{name}.{i}.global"] = local[0], everything[0, :, 0]
    everything, local = WanS2VModel.cal_audio_emb(transformer, 0 * clips[0])
    got["nothing.local"], got["nothing.global"] = local[0], everything[0, :, 0]
    save_file({k: t.detach().contiguous() for k, t in got.items()}, f"{out}/reference.safetensors")
    with open(f"{out}/reference.json", "w") as f:
        json.dump(dict(sounds=v["sounds"], dim=v["dim"], tokens=v["tokens"]), f, indent=1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--out", required=True)
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    out = p.parse_args().out
    for kind in KINDS:
        make(f"{out}/{kind}", kind)


if __name__ == "__main__":
    main()
