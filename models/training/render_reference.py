"""Renders a list of prompts with diffusers' own pipelines, so that the same ruler can measure the reference.

    python ../measure.py --prompts 200 > out/prompts.csv
    python render_reference.py out/prompts.csv --model ../pocket         clips beside the list, lossless mp4
    python ../measure.py out/prompts.csv
"""
import argparse
import csv
import os
import subprocess

import numpy as np
import torch

import world
from diffusers import WanVACEPipeline
from PIL import Image

from export import GUIDANCE, STEPS, load_pipeline


@torch.no_grad()
def generate(pipe, prompts, seeds, steps=STEPS, guidance=GUIDANCE, text_length=512):
    """Clips [frames,h,w,3] in 0..1. Every prompt starts from the noise of its own seed, as it does alone."""
    noise = [torch.Generator("cpu").manual_seed(s) for s in seeds]
    return pipe(prompts, negative_prompt="", height=world.HEIGHT, width=world.WIDTH, num_frames=world.FRAMES,
                num_inference_steps=steps, guidance_scale=guidance, generator=noise, output_type="np",
                max_sequence_length=text_length).frames


@torch.no_grad()
def generate_cameo(pipe, row, folder, steps=STEPS, guidance=GUIDANCE):
    """One clip with the row's reference picture in it."""
    picture = Image.open(os.path.join(folder, row["reference"])).convert("RGB")
    return pipe(prompt=row["prompt"], negative_prompt="", reference_images=[picture], height=world.HEIGHT, width=world.WIDTH,
                num_frames=world.FRAMES, num_inference_steps=steps, guidance_scale=guidance, output_type="np",
                generator=torch.Generator("cpu").manual_seed(int(row["seed"]))).frames[0]


def write_clip(path, clip):
    """A lossless mp4 (RGB, so that measuring reads the very pixels)."""
    raw = (np.clip(clip, 0, 1) * 255 + 0.5).astype(np.uint8).tobytes()
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{world.WIDTH}x{world.HEIGHT}",
                    "-r", str(world.FPS), "-i", "-", "-c:v", "libx264rgb", "-qp", "0", path], input=raw, check=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("list")
    p.add_argument("--model", default="../pocket")
    p.add_argument("--steps", type=int, default=STEPS)
    p.add_argument("--guidance", type=float, default=GUIDANCE)
    p.add_argument("--batch", type=int, default=4)
    args = p.parse_args()
    torch.set_num_threads(1)
    folder = os.path.dirname(args.list)
    rows = list(csv.DictReader(open(args.list)))
    if "reference" in rows[0]:
        pipe = WanVACEPipeline.from_pretrained(args.model, torch_dtype=torch.float32)
        pipe.set_progress_bar_config(disable=True)
        # WanVACEPipeline counts the autoencoder's stages for this and overlooks its patches of 2x2 (WanPipeline reads it)
        pipe.vae_scale_factor_spatial = pipe.vae.config.scale_factor_spatial
        for r in rows:
            write_clip(os.path.join(folder, r["file"]), generate_cameo(pipe, r, folder, args.steps, args.guidance))
        return
    pipe = load_pipeline(args.model)
    for k in range(0, len(rows), args.batch):
        part = rows[k:k + args.batch]
        clips = generate(pipe, [r["prompt"] for r in part], [int(r["seed"]) for r in part], args.steps, args.guidance)
        for r, clip in zip(part, clips):
            write_clip(os.path.join(folder, r["file"]), clip)


if __name__ == "__main__":
    main()
