"""Encodes training clips once and records the latents' mean and deviation in the autoencoder's configuration.

    python latents.py --work WORK --count 2000               postcards, for the transformer
    python latents.py --work WORK --count 2000 --faces       the same with a face each, for the cameo

Afterwards the autoencoder must not change: the transformer is trained on what is cached here.
"""
import argparse
import os

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import clips as data
import fast_vae
import faces
from team import launch
from trainer import device, precision
from train_vae import to_tensor


def shrink(masks, cell=8):
    """Where the object shows, at latent resolution: bool [n,F,H,W] -> [n,f,h,w] share of each cell, its fullest frame."""
    n, f, h, w = masks.shape
    share = masks.float().reshape(n, f, h // cell, cell, w // cell, cell).mean((3, 5))
    return torch.cat([share[:, :1], share[:, 1:].unflatten(1, (-1, 4)).amax(2)], 1)


def cache(work, with_faces):
    return f"{work}/latents{'-faces' * with_faces}.pt"


@torch.no_grad()
def encode_clips(vae, pixels):
    """uint8 [n,F,H,W,3] to latents [n,z,f,h,w], on the autoencoder's device."""
    with precision():
        return fast_vae.encode(vae, to_tensor(pixels, device()))[0].float()


@torch.no_grad()
def encode(args, team):
    vae = AutoencoderKLWan.from_pretrained(f"{args.work}/model/vae").float().to(device())
    clips, masks = data.load(f"{args.work}/data{'-faces' * args.faces}", args.count, args.faces)
    looking_on = data.cast(args.count)
    mine, shares = [], []
    together = 16 if device() == "cuda" else 1
    share = range(team.rank * args.count // team.size, (team.rank + 1) * args.count // team.size)
    for i in range(share.start, share.stop, together):
        part = slice(i, min(i + together, share.stop))
        z = encode_clips(vae, clips[part])
        if args.faces:   # the reference in front, as WanVACEPipeline puts it
            z = torch.cat([encode_clips(vae, [data.canvas(faces.reference(f)) for f in looking_on[part]]), z], 2)
        mine.append(z.half().cpu())
        shares.append(shrink(torch.from_numpy(np.array(masks[part])).to(device())).half().cpu())
    part = cache(args.work, args.faces) + ".%d"
    torch.save((torch.cat(mine), torch.cat(shares)), part % team.rank)
    team.wait()
    if not team.chief:
        return
    latents, shares = (torch.cat(p) for p in zip(*(torch.load(part % r) for r in range(team.size))))
    for r in range(team.size):
        os.remove(part % r)
    flat = latents.float().transpose(0, 1).flatten(1)
    mean, std = flat.mean(1), flat.std(1)
    if not args.faces and (args.measure or not any(vae.config.latents_mean)):   # a transformer already trained relies on them
        vae.register_to_config(latents_mean=[round(v, 5) for v in mean.tolist()], latents_std=[round(v, 5) for v in std.tolist()])
        vae.save_config(f"{args.work}/model/vae")
    torch.save({"latents": latents, "shown": shares}, cache(args.work, args.faces))
    print(f"{args.count} clips, std {[round(v, 2) for v in std.tolist()]}")


def load(work, with_faces=False):
    """Normalised latents [n,z,f,h,w], the shares [n,f,h,w] of the object (or the person) and the scenes, in cached order."""
    cached = torch.load(cache(work, with_faces))
    mean, std = moments(work)
    return ((cached["latents"] - mean) / std).half(), cached["shown"], data.scenes(len(cached["latents"]))


def moments(work):
    config = AutoencoderKLWan.load_config(f"{work}/model/vae")
    return (torch.tensor(config[k]).view(1, -1, 1, 1, 1) for k in ("latents_mean", "latents_std"))


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--work", default="work")
    p.add_argument("--count", type=int, default=2000)
    p.add_argument("--faces", action="store_true")
    p.add_argument("--measure", action="store_true", help="record mean and deviation anew: after the encoder was trained")
    p.add_argument("--processes", type=int, default=1 if torch.cuda.is_available() else 2)
    args = p.parse_args()
    launch(encode, args, args.processes)
