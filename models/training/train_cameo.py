"""Trains the cameo: VACE blocks over the frozen transformer, so that the face of a reference picture appears in the clip.

    python train_cameo.py --work WORK --steps 3000      resumes; needs the finished WORK/model

As WanVACEPipeline feeds it: the reference, on a white canvas, is one more latent frame in front, noised and denoised with
the others; the control channels hold its clean latents there, and behind it a grey video that is to be drawn anew.
"""
import argparse
import os
import time

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel, WanVACETransformer3DModel
from transformers import T5TokenizerFast, UMT5EncoderModel

import clips
import faces
import fast_vae
import world
from captions import random_caption
from latents import shrink
from muon import Muon
from team import launch
from train_dit import PadAware, encode_text, random_sigma
from train_vae import to_tensor

VACE = dict(vace_layers=[0, 2, 4], vace_in_channels=2 * 16 + 64)


def canvas(picture):
    """A reference as the pipeline fits it: in the middle of a white picture of the clip's size, as one frame."""
    whole = np.full((1, world.HEIGHT, world.WIDTH, 3), 255, np.uint8)
    top = (world.HEIGHT - picture.shape[0]) // 2
    whole[0, top:top + picture.shape[0]] = picture
    return whole


def cast(count, seed=17):
    rng = np.random.default_rng(seed)
    return [faces.random_face(rng) for _ in range(count)]


@torch.no_grad()
def examples(args, team):
    """Normalised latents [n,z,1+f,h,w] with the reference in front, the person's share [n,f,h,w], the grey video's latents."""
    cached = f"{args.work}/cameo.pt"
    vae = AutoencoderKLWan.from_pretrained(f"{args.work}/model/vae").float()
    mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))

    def encode(x):
        return (fast_vae.encode(vae, x[None])[0] - mean) / std
    if team.chief and not os.path.exists(cached):
        latents, person = [], []
        for i, (scene, face) in enumerate(zip(clips.scenes(args.clips), cast(args.clips))):
            clip, _, cover = faces.render(scene, face, i)
            latents.append(torch.cat([encode(to_tensor(canvas(faces.reference(face)))), encode(to_tensor(clip))], 2).half())
            person.append(shrink(cover).half())
        torch.save((torch.cat(latents), torch.stack(person)), cached)
    team.wait()
    return *torch.load(cached), encode(torch.zeros(3, world.FRAMES, world.HEIGHT, world.WIDTH))


def control(reference, grey):
    """[B,z,1,h,w] and [1,z,f,h,w] to the control channels [B,2z+64,1+f,h,w]: kept, redrawn, mask."""
    shape = (reference.shape[0], 64, *grey.shape[2:])
    head = torch.cat([reference, torch.zeros_like(reference), reference.new_zeros(shape)[:, :, :1]], 1)
    body = torch.cat([grey, grey], 1).expand(shape[0], -1, -1, -1, -1)
    return torch.cat([head, torch.cat([body, body.new_ones(shape)], 1)], 2)


def build(folder):
    """The published transformer with VACE blocks that begin as copies of its own and add nothing yet."""
    base = WanTransformer3DModel.from_pretrained(f"{folder}/transformer").float()
    config = {k: v for k, v in base.config.items() if not k.startswith("_")}
    model = WanVACETransformer3DModel(**config, **VACE)
    model.load_state_dict(base.state_dict(), strict=False)
    with torch.no_grad():
        for at, block in zip(VACE["vace_layers"], model.vace_blocks):
            block.load_state_dict(base.blocks[at].state_dict(), strict=False)
            for m in (block.proj_in, block.proj_out):
                if m is not None:
                    m.weight.zero_(), m.bias.zero_()
        model.vace_patch_embedding.weight[:, :config["in_channels"]] = base.patch_embedding.weight
    for name, p in model.named_parameters():
        p.requires_grad_(name.startswith("vace"))
    for block in (*model.blocks, *model.vace_blocks):
        block.attn2.set_processor(PadAware())
    return model


def train(args, team):
    torch.manual_seed(0)
    folder, state_file = f"{args.work}/model", f"{args.work}/state/cameo.pt"
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = T5TokenizerFast.from_pretrained(f"{folder}/tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(f"{folder}/text_encoder").float().to(device)
    latents, person, grey = examples(args, team)
    model = build(folder).to(device)
    trained = {k: p for k, p in model.named_parameters() if p.requires_grad}
    optimizer, step = Muon(trained.values(), args.lr, team), 0
    average = [p.detach().clone() for p in trained.values()]
    if os.path.exists(state_file):
        state = torch.load(state_file, map_location=device)
        model.load_state_dict(state["trained"], strict=False)
        optimizer.load_state_dict(state["optimizer"])
        average, step = state["average"], state["step"]
    scenes = clips.scenes(len(latents))
    rng = np.random.default_rng([step, team.rank])
    torch.manual_seed(10 * step + team.rank)
    if args.compile:
        for block in (*model.blocks, *model.vace_blocks):
            block.compile(dynamic=False)

    def save():
        live = {k: p.detach().clone() for k, p in trained.items()}
        os.makedirs(os.path.dirname(state_file), exist_ok=True)
        torch.save({"trained": live, "optimizer": optimizer.state_dict(), "average": average, "step": step}, state_file + ".new")
        os.replace(state_file + ".new", state_file)
        with torch.no_grad():
            torch._foreach_copy_(list(trained.values()), average)
        model.save_pretrained(f"{args.work}/cameo")
        with torch.no_grad():
            torch._foreach_copy_(list(trained.values()), list(live.values()))

    losses, start = [], time.time()
    while step < args.steps:
        pick = rng.integers(len(scenes), size=args.batch)
        texts = ["" if rng.random() < args.drop else random_caption(rng, scenes[i]) for i in pick]
        x0 = latents[pick].float().to(device)
        share = torch.nn.functional.pad(person[pick].float(), (0, 0, 0, 0, 1, 0))[:, None].to(device)
        weight = 1 + args.emphasis * share
        noise, sigma = torch.randn_like(x0), random_sigma(args.batch).to(device)
        s = sigma.view(-1, 1, 1, 1, 1)
        with torch.no_grad():
            text, PadAware.bias = encode_text(encoder, tokenizer, texts)
        v = model((1 - s) * x0 + s * noise, sigma * 1000, text, None, control(x0[:, :, :1], grey.to(device)), return_dict=False)[0]
        error = (v - (noise - x0)).square()
        loss = (error * weight).mean() / weight.mean()
        optimizer.zero_grad()
        loss.backward()
        team.mean_gradients(trained.values())
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step(args.lr * min(1, (step + 1) / 50) * min(1, max(0.03, (1 - step / args.steps) / 0.5)))
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(average, list(trained.values()), 1 - min(0.995, (1 + step) / (10 + step)))
        losses.append([loss.item(), ((error * share).sum() / (share.sum() * error.shape[1])).item()])
        if team.chief and step % 25 == 0:
            print(f"step {step} loss %.4f person %.4f  {(time.time() - start) / len(losses):.2f} s/step" % tuple(np.mean(losses[-25:], 0)), flush=True)
        if team.chief and step % 50 == 0:
            save()
    if team.chief:
        save()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--work", default="work")
    p.add_argument("--steps", type=int, default=3000)
    p.add_argument("--clips", type=int, default=2000)
    p.add_argument("--batch", type=int, default=6, help="clips per process and step")
    p.add_argument("--compile", type=int, default=1)
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--drop", type=float, default=0.1, help="share of captions left out, for guidance")
    p.add_argument("--emphasis", type=float, default=4.0, help="extra weight of the person in the loss")
    p.add_argument("--processes", type=int, default=2)
    args = p.parse_args()
    launch(train, args, args.processes)
