"""Lets the autoencoder through, or not: PSNR of reconstructed held-out clips, and the ruler's verdict on them.

    python gate.py --work WORK --count 40 --sheet out.png

Colour and motion at least 95 %, PSNR at least 30 dB; otherwise the transformer would learn a smear.
"""
import argparse
import os
import sys

import numpy as np
import torch
from diffusers import AutoencoderKLWan
from PIL import Image

import fast_vae
import world
from train_vae import psnr, to_tensor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import measure  # noqa: E402


@torch.no_grad()
def main():
    p = argparse.ArgumentParser()
    p.add_argument("--work", default="work")
    p.add_argument("--count", type=int, default=40)
    p.add_argument("--sheet")
    args = p.parse_args()
    torch.set_num_threads(1)
    vae = AutoencoderKLWan.from_pretrained(f"{args.work}/model/vae").float()
    scores, clips, rows = [], [], []
    for i, (scene, text) in enumerate(measure.held_out(args.count)):
        x = to_tensor(world.render(scene, i)[0])[None]
        y = fast_vae.decode(vae, fast_vae.encode(vae, x)[0]).clamp(-1, 1)
        scores.append(psnr(y, x))
        clips.append((y[0].permute(1, 2, 3, 0).numpy() + 1) / 2)
        seen = measure.look(clips[-1])
        rows.append({"prompt": text, "seen": seen, "right": measure.judge(seen, text)})
    print(f"PSNR mean {np.mean(scores):.2f} dB, lowest {min(scores):.2f}, {args.count} clips")
    figures = measure.summary(rows, clips)
    measure.show(figures)
    if args.sheet:
        Image.fromarray((world.contact_sheet(clips[:12]) * 255).astype(np.uint8)).save(args.sheet)
    share = [figures[k]["right"] / figures[k]["of"] for k in ("colour", "motion")]
    sys.exit(0 if min(share) >= 0.95 and np.mean(scores) >= 30 else 1)


if __name__ == "__main__":
    main()
