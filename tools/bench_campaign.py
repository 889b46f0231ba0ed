#!/usr/bin/env python3
"""Times the sample campaign end to end beside a diffusers script that renders, scales and encodes the same rows, in one run and in turn.

    pip install torch diffusers transformers        (from PyPI, CPU builds will do)
    OMP_WAIT_POLICY=passive KMP_BLOCKTIME=0 python tools/bench_campaign.py --rows 6 --rounds 1

On a machine that others use, too, PyTorch's threads must not spin (the two variables): with two cores and a load of 12 two renders then take 5 s
instead of more than two minutes.

The script is what somebody writes first: WanPipeline in fp32, one call for each row with its prompt and seed, frames through ffmpeg twice, to the
sizes, rates and quality of the campaign's renditions (reels, preview), Lanczos and x264. It draws no text, speaks no greeting, makes no page, checks
and signs nothing; Reelwright does all that, as the campaign says. Both start from nothing and load the model. Clips of rows that ask for the same
render are rendered once by both.
"""
import argparse
import csv
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FPS, FRAMES, WIDTH, HEIGHT = 8, 33, 64, 112
RENDITIONS = [("reels", 1080, 1920, 30, ["-crf", "17", "-preset", "veryfast", "-maxrate", "25000k", "-bufsize", "50000k"]),
              ("preview", 540, 960, FPS, ["-crf", "26", "-preset", "veryfast", "-maxrate", "1500k", "-bufsize", "3000k"])]


def read_rows(count):
    with open(f"{ROOT}/configs/campaigns/postcards.csv", newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))[:count]


def diffusers_script(rows, out):
    import torch
    from diffusers import WanPipeline
    begin = time.time()
    pipe = WanPipeline.from_pretrained(f"{ROOT}/models/pocket", torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    rendered, encoding = {}, 0.0
    for row in rows:
        prompt = " ".join([row["thing"], row["action"], row["where"], row["when"] or "at noon"])
        key = (prompt, int(row["number"]))
        if key not in rendered:
            frames = pipe(prompt=prompt, negative_prompt="", height=HEIGHT, width=WIDTH, num_frames=FRAMES, num_inference_steps=16,
                          guidance_scale=2.0, generator=torch.Generator("cpu").manual_seed(key[1]), output_type="np").frames[0]
            rendered[key] = (frames * 255).round().astype("uint8").tobytes()
        before = time.time()
        for name, width, height, fps, quality in RENDITIONS:
            subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS),
                            "-i", "-", "-vf", f"scale={width}:{height}:flags=lanczos,fps={fps}", "-c:v", "libx264", "-pix_fmt", "yuv420p",
                            *quality, "-movflags", "+faststart", f"{out}/{row['id']}.{name}.mp4"], input=rendered[key], check=True)
        encoding += time.time() - before
    print(f"diffusers: {len(rows)} clips, {len(rendered)} renders in {time.time() - begin:.1f} s, of them {encoding:.1f} s encoding")


def run(command):
    begin, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=sys.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.time() - begin, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--program", default=f"{ROOT}/build/reelwright")
    p.add_argument("--rows", type=int, default=12, help="the first rows of postcards.csv (12)")
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--script", help="internal: only the diffusers script, into this folder")
    a = p.parse_args()
    if a.script:
        diffusers_script(read_rows(a.rows), a.script)
        return
    work = tempfile.mkdtemp()
    campaigns = shutil.copytree(f"{ROOT}/configs", f"{work}/configs") + "/campaigns"
    os.symlink(f"{ROOT}/models", f"{work}/models")
    rows = read_rows(a.rows)
    with open(f"{campaigns}/postcards.csv", "w", newline="", encoding="utf-8") as f:
        table = csv.DictWriter(f, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    took = {"reelwright": [], "diffusers": []}
    for i in range(a.rounds):
        took["reelwright"].append(run([a.program, "run", f"{campaigns}/postcards.yaml", "--out", f"{work}/out-{i}", "--workers", str(os.cpu_count()), "--quiet"]))
        os.makedirs(f"{work}/frames-{i}")
        took["diffusers"].append(run([sys.executable, os.path.abspath(__file__), "--rows", str(a.rows), "--script", f"{work}/frames-{i}"]))
        print(f"round {i + 1}: " + ", ".join(f"{k} {v[-1][0]:.1f} s ({v[-1][1]:.1f} s of processor)" for k, v in took.items()) +
              f"; load {os.getloadavg()[0]:.1f}", flush=True)
    for n, what in enumerate(["wall", "processor"]):
        ours, theirs = (statistics.median(x[n] for x in took[k]) for k in ("reelwright", "diffusers"))
        print(f"{a.rows} rows, medians of {a.rounds}, {what}: reelwright {ours:.1f} s, diffusers {theirs:.1f} s: {theirs / ours:.1f} times")
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
