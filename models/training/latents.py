"""Encodes training clips once and records the latents' mean and deviation in the autoencoder's configuration.

    python latents.py --work WORK --count 2000

Afterwards the autoencoder must not change: the transformer is trained on what is cached here.
"""
import argparse
import os

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import clips as data
import fast_vae
from team import launch
from train_vae import to_tensor


def shrink(mask, cell=8):
    """Where the object shows, at latent resolution: bool [F,H,W] -> [f,h,w] share of each cell, its fullest frame."""
    f, h, w = mask.shape
    share = torch.from_numpy(np.array(mask)).float().reshape(f, h // cell, cell, w // cell, cell).mean((2, 4))
    return torch.cat([share[:1], share[1:].unflatten(0, (-1, 4)).amax(1)])


@torch.no_grad()
def encode(args, team):
    vae = AutoencoderKLWan.from_pretrained(f"{args.work}/model/vae").float()
    clips, masks = data.load(f"{args.work}/data", args.count)
    mine, shares = [], []
    for i in range(team.rank, args.count, team.size):
        mine.append(fast_vae.encode(vae, to_tensor(clips[i])[None])[0].half())
        shares.append(shrink(masks[i]).half())
    part = f"{args.work}/latents.%d.pt"
    torch.save((torch.cat(mine), torch.stack(shares)), part % team.rank)
    team.wait()
    if not team.chief:
        return
    parts = [torch.load(part % r) for r in range(team.size)]
    latents, shares = (torch.empty((args.count, *p.shape[1:]), dtype=p.dtype) for p in parts[0])
    for r, (z, m) in enumerate(parts):
        latents[r::team.size], shares[r::team.size] = z, m
        os.remove(part % r)
    flat = latents.float().transpose(0, 1).flatten(1)
    mean, std = flat.mean(1), flat.std(1)
    if not any(vae.config.latents_mean):   # once: a transformer already trained relies on them
        vae.register_to_config(latents_mean=[round(v, 5) for v in mean.tolist()], latents_std=[round(v, 5) for v in std.tolist()])
        vae.save_config(f"{args.work}/model/vae")
    torch.save({"latents": latents, "object": shares}, f"{args.work}/latents.pt")
    print(f"{args.count} clips, std {[round(v, 2) for v in std.tolist()]}")


def load(work):
    """Normalised latents [n,z,f,h,w], object shares [n,f,h,w] and the scenes, in cached order."""
    cached = torch.load(f"{work}/latents.pt")
    config = AutoencoderKLWan.load_config(f"{work}/model/vae")
    mean, std = (torch.tensor(config[k]).view(1, -1, 1, 1, 1) for k in ("latents_mean", "latents_std"))
    return ((cached["latents"] - mean) / std).half(), cached["object"], data.scenes(len(cached["latents"]))


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--work", default="work")
    p.add_argument("--count", type=int, default=2000)
    p.add_argument("--processes", type=int, default=2)
    args = p.parse_args()
    launch(encode, args, args.processes)
