#!/usr/bin/env python3
"""Times a campaign end to end beside a diffusers script that renders, scales and encodes the same rows, in one run and in turn.

    pip install torch diffusers transformers        (from PyPI, CPU builds will do)
    OMP_WAIT_POLICY=passive KMP_BLOCKTIME=0 python tools/bench_campaign.py --plain --rounds 3
    OMP_WAIT_POLICY=passive KMP_BLOCKTIME=0 python tools/bench_campaign.py --rows 6 --rounds 1

On a machine that others use, too, PyTorch's threads must not spin (the two variables): with two cores and a load of 12 two renders then take 5 s
instead of more than two minutes.

The script is what somebody writes first: WanPipeline in fp32, one call for each row with its prompt and seed, frames through ffmpeg once for each
rendition, to its size, rate and quality, Lanczos and x264. It draws no text, speaks no greeting, makes no page, checks and signs nothing. Both start
from nothing and load the model. Clips of rows that ask for the same render are rendered once by both.

With --plain both do the same work: the rows of the sample as one rendition, preview, at the model's own frame rate, without voice, text, label,
watermark or gates. What Reelwright does besides is a farm's: the ledger, checkpoints, masters, thumbnails and sheets, reading each file back, the
delivery folder, the report. Without --plain it renders the sample as it is: greetings, music, texts, 30 frames a second.

    python tools/bench_campaign.py --plain --also bf16,int8,cache,trunk

--also (with --plain) runs ours again with what a campaign can save: products in bf16, or in int8; cache: bf16, and the
steps that `calibrate --bound 0.03` leaves out; trunk: besides, the first half of the steps shared, for which all rows have one seed. Their clips
are others than those of diffusers; what that costs in quality is in configs/README.md.
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
REELS = ("reels", 1080, 1920, 30, ["-crf", "17", "-preset", "veryfast", "-maxrate", "25000k", "-bufsize", "50000k", "-g", "15"])
PREVIEW = ("preview", 540, 960, FPS, ["-crf", "26", "-preset", "veryfast", "-maxrate", "1500k", "-bufsize", "3000k", "-g", "4"])
PLAIN = """campaign: plain
model: ../../models/pocket
customers: postcards.csv
prompt: "{{thing}} {{action}} {{where}} {{when|at noon}}"
seed: "{{number}}"
renditions: [preview]
"""
CACHE = "reuse: {cache: cache.json}\n"
TRUNK = 'reuse: {cache: cache.json, trunk_steps: 8, trunk_prompt: "."}\n'
SAVINGS = {"bf16": (PLAIN, ["--dtype", "bf16"]), "int8": (PLAIN, ["--dtype", "int8"]), "cache": (PLAIN + CACHE, ["--dtype", "bf16"]),
           "trunk": (PLAIN.replace('"{{number}}"', "7") + TRUNK, ["--dtype", "bf16"])}


def read_rows(count):
    with open(f"{ROOT}/configs/campaigns/postcards.csv", newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))[:count]


def diffusers_script(rows, renditions, out):
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
        for name, width, height, fps, quality in renditions:
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


def prepare(work, rows):
    """A copy of the sample's folder with these rows only, and the plain campaign beside it."""
    campaigns = shutil.copytree(f"{ROOT}/configs", f"{work}/configs") + "/campaigns"
    os.symlink(f"{ROOT}/models", f"{work}/models")
    for name, text in [("plain", PLAIN)] + [(name, text) for name, (text, _) in SAVINGS.items()]:
        with open(f"{campaigns}/{name}.yaml", "w", encoding="utf-8") as f:
            f.write(text)
    with open(f"{campaigns}/postcards.csv", "w", newline="", encoding="utf-8") as f:
        table = csv.DictWriter(f, rows[0].keys())
        table.writeheader()
        table.writerows(rows)
    return campaigns


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--program", default=f"{ROOT}/build/reelwright")
    p.add_argument("--rows", type=int, default=12, help="the first rows of postcards.csv (12)")
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--plain", action="store_true", help="one rendition, and nothing personal but the prompt")
    p.add_argument("--program-before", help="another build of ours, run in turn with the first")
    p.add_argument("--also", type=lambda t: t.split(","), default=[], help="ours with savings, too: bf16,int8,cache,trunk")
    p.add_argument("--alone", action="store_true", help="without diffusers")
    p.add_argument("--script", help="internal: only the diffusers script, into this folder")
    a = p.parse_args()
    if a.script:
        diffusers_script(read_rows(a.rows), [PREVIEW] if a.plain else [REELS, PREVIEW], a.script)
        return
    work = tempfile.mkdtemp()
    campaigns = prepare(work, read_rows(a.rows))
    ours = {"reelwright": a.program, "before": a.program_before} | {name: a.program for name in a.also}
    if {"cache", "trunk"} & set(a.also):
        subprocess.run([a.program, "calibrate", f"{campaigns}/plain.yaml", "--bound", "0.03", "--output", f"{campaigns}/cache.json"], check=True)
    took = {name: [] for name in ours if ours[name]} | ({} if a.alone else {"diffusers": []})
    for i in range(a.rounds):
        for name in list(took) if i % 2 == 0 else reversed(took):
            out = f"{work}/{name}-{i}"
            if name in ours:
                campaign = name if name in SAVINGS else "plain" if a.plain else "postcards"
                command = [ours[name], "run", f"{campaigns}/{campaign}.yaml", "--out", out, "--workers", str(os.cpu_count()), "--quiet",
                           *SAVINGS.get(name, ("", []))[1]]
            else:
                os.makedirs(out)
                command = [sys.executable, os.path.abspath(__file__), "--rows", str(a.rows), "--script", out] + ["--plain"] * a.plain
            took[name].append(run(command))
            shutil.rmtree(out)
        print(f"round {i + 1}: " + ", ".join(f"{k} {v[-1][0]:.1f} s ({v[-1][1]:.1f} s of processor)" for k, v in took.items()) +
              f"; load {os.getloadavg()[0]:.1f}", flush=True)
    for n, what in enumerate(["wall", "processor"]):
        median = {k: statistics.median(x[n] for x in v) for k, v in took.items()}
        print(f"{a.rows} rows, medians of {a.rounds}, {what}: " + ", ".join(f"{k} {v:.1f} s" for k, v in median.items()) +
              "".join(f"; {k} / reelwright {v / median['reelwright']:.2f}" for k, v in median.items() if k != "reelwright"))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
