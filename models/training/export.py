"""Writes the trained model as the folder that WanPipeline and Reelwright load: bf16, with the defaults it was measured at.

    python export.py --work WORK --to ../pocket
    python export.py --work WORK --to ../pocket-cameo --cameo-of ../pocket      the VACE blocks, for WanVACEPipeline
"""
import argparse
import json
import os
import shutil

import torch
from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel
from safetensors.torch import load_file, save_file
from transformers import T5TokenizerFast, UMT5EncoderModel

import world

WEIGHTS = "diffusion_pytorch_model.safetensors"
STEPS, GUIDANCE = 16, 2.0


def load_pipeline(folder):
    pipe = WanPipeline(
        tokenizer=T5TokenizerFast.from_pretrained(f"{folder}/tokenizer"),
        text_encoder=UMT5EncoderModel.from_pretrained(f"{folder}/text_encoder", dtype=torch.float32),
        vae=AutoencoderKLWan.from_pretrained(f"{folder}/vae", torch_dtype=torch.float32),
        transformer=WanTransformer3DModel.from_pretrained(f"{folder}/transformer", torch_dtype=torch.float32),
        scheduler=UniPCMultistepScheduler.from_pretrained(f"{folder}/scheduler"))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def to_bf16(path, keep=(), only=""):
    """Rounds a safetensors file; what diffusers keeps in fp32 stays (norms, time embedding, modulation: a few kB)."""
    tensors = {k: v for k, v in load_file(path).items() if k.startswith(only)}
    save_file({k: v if any(part in k for part in keep) else v.bfloat16() for k, v in tensors.items()}, path, {"format": "pt"})


def forget_origin(path):
    """diffusers notes the folder that weights were loaded from; it means nothing elsewhere."""
    with open(path) as f:
        config = json.load(f)
    config.pop("_name_or_path", None)
    with open(path, "w") as f:
        json.dump(config, f, indent=2)
        f.write("\n")


def export(work, to):
    pipe = load_pipeline(f"{work}/model")
    shutil.rmtree(f"{to}.new", ignore_errors=True)
    pipe.save_pretrained(f"{to}.new")
    shutil.copy(f"{work}/model/tokenizer/spiece.model", f"{to}.new/tokenizer/spiece.model")
    to_bf16(f"{to}.new/transformer/{WEIGHTS}", WanTransformer3DModel._keep_in_fp32_modules)
    to_bf16(f"{to}.new/vae/{WEIGHTS}")
    to_bf16(f"{to}.new/text_encoder/model.safetensors")
    for part in ("transformer", "vae", "text_encoder"):
        forget_origin(f"{to}.new/{part}/config.json")
    with open(f"{to}.new/reelwright.json", "w") as f:
        json.dump({"width": world.WIDTH, "height": world.HEIGHT, "frames": world.FRAMES, "fps": world.FPS,
                   "steps": STEPS, "guidance": GUIDANCE, "negative": ""}, f, indent=2)
        f.write("\n")
    os.makedirs(to, exist_ok=True)
    for name in os.listdir(f"{to}.new"):   # the card, written by hand, stays
        shutil.rmtree(f"{to}/{name}", ignore_errors=True)
        os.replace(f"{to}.new/{name}", f"{to}/{name}")
    os.rmdir(f"{to}.new")


def export_cameo(work, to, base):
    """A second folder of links to the first one's files: its own are the VACE blocks, as a second shard, and configurations."""
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(f"{to}/transformer")

    def link(path, name=None):
        at = f"{to}/{name or path}"
        os.symlink(os.path.relpath(f"{base}/{path}", os.path.dirname(at)), at)

    def copy(source, path, **changes):
        with open(source) as f, open(f"{to}/{path}", "w") as out:
            json.dump({**{k: v for k, v in json.load(f).items() if k != "_name_or_path"}, **changes}, out, indent=2)
            out.write("\n")

    for path in ("tokenizer", "text_encoder", "scheduler", "vae", "reelwright.json"):
        link(path)
    link(f"transformer/{WEIGHTS}", "transformer/base.safetensors")
    shutil.copy(f"{work}/cameo/{WEIGHTS}", f"{to}/transformer/vace.safetensors")
    to_bf16(f"{to}/transformer/vace.safetensors", WanTransformer3DModel._keep_in_fp32_modules, only="vace")
    shards = {part: load_file(f"{to}/transformer/{part}.safetensors") for part in ("base", "vace")}
    with open(f"{to}/transformer/{WEIGHTS}.index.json", "w") as f:
        json.dump({"metadata": {"total_size": sum(v.nbytes for t in shards.values() for v in t.values())},
                   "weight_map": {k: f"{part}.safetensors" for part, t in shards.items() for k in t}}, f, indent=1)
        f.write("\n")
    copy(f"{work}/cameo/config.json", "transformer/config.json")
    copy(f"{base}/model_index.json", "model_index.json", _class_name="WanVACEPipeline",
         transformer=["diffusers", "WanVACETransformer3DModel"])


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--work", default="work")
    p.add_argument("--to", required=True)
    p.add_argument("--cameo-of", metavar="FOLDER", help="the exported model that the cameo stands on")
    args = p.parse_args()
    if args.cameo_of:
        export_cameo(args.work, args.to, args.cameo_of)
    else:
        export(args.work, args.to)
