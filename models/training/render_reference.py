"""Renders a list of prompts with diffusers' own WanPipeline, so that the same ruler can measure the reference.

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
from export import GUIDANCE, STEPS, load_pipeline


@torch.no_grad()
def generate(pipe, prompts, seeds, steps=STEPS, guidance=GUIDANCE, text_length=512):
    """Clips [frames,h,w,3] in 0..1. Every prompt starts from the noise of its own seed, as it does alone."""
    noise = [torch.Generator("cpu").manual_seed(s) for s in seeds]
    return pipe(prompts, negative_prompt="", height=world.HEIGHT, width=world.WIDTH, num_frames=world.FRAMES,
                num_inference_steps=steps, guidance_scale=guidance, generator=noise, output_type="np",
                max_sequence_length=text_length).frames


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
    pipe, folder = load_pipeline(args.model), os.path.dirname(args.list)
    rows = list(csv.DictReader(open(args.list)))
    for k in range(0, len(rows), args.batch):
        part = rows[k:k + args.batch]
        clips = generate(pipe, [r["prompt"] for r in part], [int(r["seed"]) for r in part], args.steps, args.guidance)
        for r, clip in zip(part, clips):
            write_clip(os.path.join(folder, r["file"]), clip)


if __name__ == "__main__":
    main()
