#!/usr/bin/env python3
"""Numerical reference for a model that speaks (Wan2.2-S2V): tiny transformers with random weights, and what diffsynth computes.

    make_s2v_reference.py forward --size two-heads --out DIR    one evaluation of the transformer, in five situations

Needs `pip install diffsynth==2.1.12 diffusers==0.42.1`; the other parts of a model folder are those of fixtures/t2v-0.

`forward` writes DIR/model/transformer and DIR/reference.safetensors:
    latents, reference, motion       [16,20,h,w], [16,1,h,w], [16,19,h,w]
    prompt                           rows without padding
    heard.local, heard.global        what the audio encoder makes of heard.features [25,dim,80]; silent.* of zeros
    first.velocity                   without what was before; later.velocity with it; silent.velocity: later, and hears zeros
    zero.velocity                    later, at timestep 0
    later.block.N, later.block.N.heard    tokens after a block, and after what it hears (of two heads)

Weights are drawn tensor by tensor from a generator seeded with the tensor's name, of sizes that keep each of them visible. Tiny transformers
have fewer than 10 layers: diffsynth looks for "transformer_blocks.1" inside names, and would find it in "transformer_blocks.10".
"""
import argparse
import json
import math
import os
import zlib

import torch
from safetensors.torch import save_file

LAYERS_OF_WAV2VEC = 25
SIZES = {
    "two-heads": dict(dim=64, num_heads=2, num_layers=4, ffn_dim=112, audio_dim=24, num_audio_token=4, freq_dim=64,
                      audio_inject_layers=[0, 2], store=torch.bfloat16, pixels=(64, 64)),
    "four-heads": dict(dim=80, num_heads=4, num_layers=5, ffn_dim=96, audio_dim=20, num_audio_token=3, freq_dim=32,
                       audio_inject_layers=[0, 1, 4], store=torch.float16, pixels=(64, 128)),
}
TEXT_DIM = 48


def draw(name, shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))


def fill(module):
    with torch.no_grad():
        for name, p in module.named_parameters():
            x, leaf = draw(name, p.shape), name.rsplit(".", 1)[-1]
            if leaf in ("modulation", "padding_tokens", "weights") or "trainable_cond_mask" in name:
                x *= 0.5
            elif leaf == "bias":
                x *= 0.15
            elif p.dim() == 1:
                x = 1 + 0.25 * x
            else:
                x /= math.sqrt(p.numel() / p.shape[0])
            p.copy_(x)
    return module.eval()


def transformer(size):
    """The transformer of that size, with the numbers that its file has."""
    from diffsynth.models.wan_video_dit_s2v import WanS2VModel

    c = SIZES[size]
    numbers = {k: v for k, v in c.items() if k not in ("store", "pixels")}
    dit = fill(WanS2VModel(in_dim=16, out_dim=16, text_dim=TEXT_DIM, eps=1e-6, patch_size=(1, 2, 2), cond_dim=16, enable_adain=True,
                           zero_timestep=True, add_last_motion=True, framepack_drop_mode="padd", **numbers))
    for p in dit.parameters():
        p.data = p.data.to(c["store"]).float()
    return dit


def save_transformer(dit, size, folder):
    """Under the publishers' names: their config.json, and their tensors."""
    c = SIZES[size]
    os.makedirs(folder)
    config = {"_class_name": "WanModel_S2V", "_diffusers_version": "0.34.0", "adain_mode": "attn_norm", "add_last_motion": True,
              "cond_dim": 16, "enable_adain": True, "enable_framepack": True, "enable_motioner": False, "enable_tsm": False, "eps": 1e-6,
              "framepack_drop_mode": "padd", "in_dim": 16, "model_type": "s2v", "motion_token_num": 1024, "out_dim": 16,
              "text_dim": TEXT_DIM, "text_len": 512, "trainable_token_pos_emb": False, "zero_init": True, "zero_timestep": True}
    config.update({k: v for k, v in c.items() if k not in ("store", "pixels")})
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
    save_file({k: v.to(c["store"]).contiguous() for k, v in dit.state_dict().items()},
              f"{folder}/diffusion_pytorch_model.safetensors")


def lay_out(folder):
    """The other parts: those of t2v-0."""
    os.makedirs(folder)
    for part in ("scheduler", "text_encoder", "tokenizer", "vae"):
        os.symlink(f"../../../t2v-0/model/{part}", f"{folder}/{part}")
    index = {"_class_name": "WanSpeechToVideoPipeline", "audio_encoder": ["transformers", "Wav2Vec2ForCTC"],
             "scheduler": ["diffusers", "UniPCMultistepScheduler"], "text_encoder": ["transformers", "UMT5EncoderModel"],
             "tokenizer": ["transformers", "T5TokenizerFast"], "transformer": ["wan", "WanModel_S2V"], "vae": ["diffusers", "AutoencoderKLWan"]}
    with open(f"{folder}/model_index.json", "w") as f:
        json.dump(index, f, indent=2)


def evaluate(dit, latents, reference, motion, timestep, prompt, features):
    from diffsynth.pipelines.wan_video import model_fn_wans2v

    rows = torch.zeros(1, 512, TEXT_DIM)
    rows[0, :prompt.shape[0]] = prompt
    h, w = latents.shape[2:]
    v = model_fn_wans2v(dit, torch.cat([reference, latents], dim=1)[None], torch.tensor([float(timestep)]), rows, features[None],
                        (torch.zeros(16, 19, h, w) if motion is None else motion)[None], None, drop_motion_frames=motion is None)
    return v[0, :, 1:]


def hear(dit, features):
    whole, local = dit.cal_audio_emb(features[None])
    return local[0], whole[0]


def forward(size, out):
    dit = transformer(size)
    lay_out(f"{out}/model")
    save_transformer(dit, size, f"{out}/model/transformer")
    height, width = (s // 8 for s in SIZES[size]["pixels"])
    got = dict(latents=draw("latents", (16, 20, height, width)), reference=draw("reference", (16, 1, height, width)),
               motion=draw("motion", (16, 19, height, width)), prompt=draw("prompt", (7, TEXT_DIM)))
    features = draw("features", (LAYERS_OF_WAV2VEC, SIZES[size]["audio_dim"], 80))
    got["heard.features"] = features
    got["heard.local"], got["heard.global"] = hear(dit, features)
    got["silent.local"], got["silent.global"] = hear(dit, 0 * features)
    call = lambda motion, t, sound: evaluate(dit, got["latents"], got["reference"], motion, t, got["prompt"], sound)
    got["first.velocity"] = call(None, 999, features)
    for i, b in enumerate(dit.blocks if size == "two-heads" else []):
        b.register_forward_hook(lambda m, args, r, i=i: got.update({f"later.block.{i}": r[0].clone()}) if f"later.block.{i}" not in got else None)
    after = dit.after_transformer_block

    def seen(i, x, *rest):
        x = after(i, x, *rest)
        if i in SIZES[size]["audio_inject_layers"]:
            got.setdefault(f"later.block.{i}.heard", x[0].clone())
        return x
    if size == "two-heads":
        dit.after_transformer_block = seen
    got["later.velocity"] = call(got["motion"], 437, features)
    got["zero.velocity"] = call(got["motion"], 0, features)
    got["silent.velocity"] = call(got["motion"], 437, 0 * features)
    save_file({k: v.contiguous() for k, v in got.items()}, f"{out}/reference.safetensors", metadata=dict(size=size))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["forward"])
    p.add_argument("--size", choices=sorted(SIZES), default="two-heads")
    p.add_argument("--out", required=True)
    a = p.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    os.makedirs(a.out)
    forward(a.size, a.out)


if __name__ == "__main__":
    main()
