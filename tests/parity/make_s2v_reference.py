#!/usr/bin/env python3
"""Numerical reference for a model that speaks (Wan2.2-S2V): tiny transformers with random weights, and what diffsynth computes.

    make_s2v_reference.py forward --size two-heads --out DIR    one evaluation of the transformer, in five situations
    make_s2v_reference.py chain --like DIR --out NEW               two clips, one after the other

Needs `pip install diffsynth==2.1.12 diffusers==0.42.1`; the other parts of a model folder are those of fixtures/t2v-0,
the audio encoder that of fixtures/speech (make_speech.py).

`forward` writes DIR/model/transformer and DIR/reference.safetensors:
    latents, reference, motion       [16,20,h,w], [16,1,h,w], [16,19,h,w]
    prompt                           rows without padding
    features                         what is heard, [states,dim,80]
    first.velocity                   without what was before; later.velocity with it; silent.velocity: later, and hears zeros
    zero.velocity                    later, at timestep 0
    later.block.N, later.block.N.heard    tokens after a block, and after what it hears (of two heads)

`chain` writes DIR/reference.safetensors and reference.json, of the model folder LIKE/model and the sound of 6.25 seconds that is in it. The
transformer is diffsynth's, as is what it hears, and the autoencoder diffusers'. What chains the clips is written out here after the publishers'
wan/speech2video.py, because diffsynth leaves it to its caller and samples by Euler:
    seed + r for clip r; UniPC, shift 3; guidance 4.5, without prompt *and* without sound in the other branch
    clip 0 is decoded behind the picture's latent, a later one behind the latents of what was before; the last 80 frames are
    kept, of the first clip without the first 3; the last 73 frames so far are encoded anew
diffusers' UniPC is taken in the place of the publishers' copy of it. One thing is different on purpose: 187.5 ms of silence stand before the
sound that the model hears, because the first frame that is kept hears that much of it.

Weights are drawn tensor by tensor from a generator seeded with the tensor's name, of sizes that keep each of them visible. Tiny transformers
have fewer than 10 layers: diffsynth looks for "transformer_blocks.1" inside names, and would find it in "transformer_blocks.10".
"""
import argparse
import json
import math
import os
import zlib

import numpy as np
import torch
from safetensors.torch import save_file

SIZES = {
    "two-heads": dict(dim=64, num_heads=2, num_layers=4, ffn_dim=112, audio_dim=32, num_audio_token=4, freq_dim=64,
                      audio_inject_layers=[0, 2], store=torch.bfloat16, pixels=(64, 64), voice="old", states=4),
    "four-heads": dict(dim=80, num_heads=4, num_layers=5, ffn_dim=96, audio_dim=24, num_audio_token=3, freq_dim=32,
                       audio_inject_layers=[0, 1, 4], store=torch.float16, pixels=(64, 128), voice="new", states=3),
}
OURS = ("store", "pixels", "voice", "states")  # not the transformer's own
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
    from diffsynth.models.wan_video_dit_s2v import CausalAudioEncoder, WanS2VModel

    c = SIZES[size]
    numbers = {k: v for k, v in c.items() if k not in OURS}
    dit = WanS2VModel(in_dim=16, out_dim=16, text_dim=TEXT_DIM, eps=1e-6, patch_size=(1, 2, 2), cond_dim=16, enable_adain=True,
                           zero_timestep=True, add_last_motion=True, framepack_drop_mode="padd", **numbers)
    dit.casual_audio_encoder = CausalAudioEncoder(dim=c["audio_dim"], num_layers=c["states"], out_dim=c["dim"],  # its own has 25 states
                                                  num_token=c["num_audio_token"], need_global=True)
    fill(dit)
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
    config.update({k: v for k, v in c.items() if k not in OURS})
    with open(f"{folder}/config.json", "w") as f:
        json.dump(config, f, indent=2, sort_keys=True)
    save_file({k: v.to(c["store"]).contiguous() for k, v in dit.state_dict().items()},
              f"{folder}/diffusion_pytorch_model.safetensors")


def lay_out(folder, voice):
    """The other parts: those of t2v-0 and of speech."""
    os.makedirs(folder)
    for part in ("scheduler", "text_encoder", "tokenizer", "vae"):
        os.symlink(f"../../../t2v-0/model/{part}", f"{folder}/{part}")
    os.symlink(f"../../../speech/{voice}/audio_encoder", f"{folder}/audio_encoder")
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


def forward(size, out):
    dit = transformer(size)
    lay_out(f"{out}/model", SIZES[size]["voice"])
    save_transformer(dit, size, f"{out}/model/transformer")
    height, width = (s // 8 for s in SIZES[size]["pixels"])
    got = dict(latents=draw("latents", (16, 20, height, width)), reference=draw("reference", (16, 1, height, width)),
               motion=draw("motion", (16, 19, height, width)), prompt=draw("prompt", (7, TEXT_DIM)))
    features = draw("features", (SIZES[size]["states"], SIZES[size]["audio_dim"], 80))
    got["features"] = features
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
    with open(f"{out}/reference.json", "w") as f:
        json.dump(dict(size=size), f)


CALL = dict(prompt="A small red cat walks slowly over the old bridge.", negative_prompt="blurry, grey", height=64, width=64, num_frames=100,
            num_inference_steps=2, guidance_scale=4.5, guidance_scale_2=0)
SEED, SHOWN = 11, (0, 1, 76, 77, 99)


def embed(folder, text):
    """The rows of a prompt without padding, as make_reference.py's pipelines have them."""
    from transformers import AutoTokenizer, UMT5EncoderModel

    ids = AutoTokenizer.from_pretrained(f"{folder}/tokenizer")(text, return_tensors="pt").input_ids
    encoder = UMT5EncoderModel.from_pretrained(f"{folder}/text_encoder", dtype=torch.float32)
    return encoder(ids).last_hidden_state[0]


def features(folder, pcm):
    """What all clips hear: [states, dim, 80] each."""
    import make_speech
    from diffsynth.models.wav2vec import WanS2VAudioEncoder
    from transformers import Wav2Vec2FeatureExtractor, Wav2Vec2ForCTC

    encoder = WanS2VAudioEncoder.__new__(WanS2VAudioEncoder)
    torch.nn.Module.__init__(encoder)
    encoder.model = make_speech.published(Wav2Vec2ForCTC.from_pretrained(f"{folder}/audio_encoder").eval())
    encoder.video_rate = 30
    return [c[0] for c in encoder.get_audio_feats_per_inference(pcm, 16000, Wav2Vec2FeatureExtractor(), fps=16, batch_frames=80)]


def chain(like, out):
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler
    from make_reference import picture

    folder = f"{like}/model"
    with open(f"{like}/reference.json") as f:
        size = json.load(f)["size"]
    dit = transformer(size)
    vae = AutoencoderKLWan.from_pretrained(f"{folder}/vae")
    mean, std = (torch.tensor(x).view(1, -1, 1, 1, 1) for x in (vae.config.latents_mean, vae.config.latents_std))
    encode = lambda video: (vae.encode(video).latent_dist.mode() - mean) * (1 / std)
    decode = lambda z: vae.decode(z / (1 / std) + mean).sample
    height, width, steps = CALL["height"], CALL["width"], CALL["num_inference_steps"]
    image = picture(5, height, width)
    pcm = (0.2 * draw("pcm", (100000,))).half()
    rows = {k: embed(folder, CALL[k]) for k in ("prompt", "negative_prompt")}
    heard = features(folder, np.concatenate([np.zeros(3000, np.float32), pcm.float().numpy()]))
    got = {"in.image": torch.from_numpy(image), "in.pcm": pcm}
    reference = encode(torch.from_numpy(image.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None, :, None])
    motion, videos = None, None
    for r in range((CALL["num_frames"] + 3 + 79) // 80):
        noise = torch.randn((1, 16, 20, height // 8, width // 8), generator=torch.Generator().manual_seed(SEED + r))
        scheduler = UniPCMultistepScheduler.from_pretrained(f"{folder}/scheduler")
        scheduler.set_timesteps(steps)
        z = noise
        for i, t in enumerate(scheduler.timesteps):
            call = lambda text, sound: evaluate(dit, z[0], reference[0], None if motion is None else motion[0], t, rows[text], sound)[None]
            cond, uncond = call("prompt", heard[r]), call("negative_prompt", 0 * heard[r])
            z = scheduler.step(uncond + CALL["guidance_scale"] * (cond - uncond), t, z, return_dict=False)[0]
            n = r * steps + i
            got.update({f"step.{n}.cond": cond[0], f"step.{n}.uncond": uncond[0], f"step.{n}.latents": z[0]})
        video = decode(torch.cat([reference if motion is None else motion, z], dim=2))[:, :, -80:]
        if r == 0:
            video = video[:, :, 3:]
        videos = video if videos is None else torch.cat([videos, video], dim=2)
        motion = encode(videos[:, :, -73:])
    frames = (videos[0].permute(1, 2, 3, 0) / 2 + 0.5).clamp(0, 1)
    got.update({f"shown.{i}": frames[i] for i in SHOWN})
    save_file({k: v.contiguous() for k, v in got.items()}, f"{out}/reference.safetensors", metadata=dict(size=size))
    with open(f"{out}/reference.json", "w") as f:
        json.dump(dict(call=CALL, noise_seed=SEED), f, indent=1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["forward", "chain"])
    p.add_argument("--size", choices=sorted(SIZES), default="two-heads")
    p.add_argument("--like", help="the folder of a forward reference, for chain")
    p.add_argument("--out", required=True)
    a = p.parse_args()
    torch.set_grad_enabled(False)
    torch.set_num_threads(2)
    os.makedirs(a.out)
    if a.what == "forward":
        forward(a.size, a.out)
    else:
        chain(a.like, a.out)


if __name__ == "__main__":
    main()
