"""Trains the cameo: VACE blocks over the frozen transformer, so that the face of a reference picture appears in the clip.

    python train_cameo.py --work WORK --steps 3000      resumes; with the state gone it starts from the WORK/cameo weights, or
                                                        from nothing; needs the finished WORK/model

As WanVACEPipeline feeds it: the reference, on a white canvas, is one more latent frame in front, noised and denoised with
the others; the control channels hold its clean latents there, and behind it a grey video that is to be drawn anew.
"""
import argparse
import os

import torch
from diffusers import AutoencoderKLWan, WanTransformer3DModel, WanVACETransformer3DModel
from safetensors.torch import load_file
from transformers import T5TokenizerFast, UMT5EncoderModel

import fast_vae
import latents as data
import world
from team import launch
from train_dit import PadAware, encode_text, noised, vague_caption
from trainer import Trainer, device, options, precision

VACE = dict(vace_layers=[0, 2, 4], vace_in_channels=2 * 16 + 64)


@torch.no_grad()
def grey_video(work):
    """The normalised latents [1,z,f,h,w] of the grey video that is to be drawn anew."""
    vae = AutoencoderKLWan.from_pretrained(f"{work}/model/vae").float()
    mean, std = data.moments(work)
    return (fast_vae.encode(vae, torch.zeros(1, 3, world.FRAMES, world.HEIGHT, world.WIDTH))[0] - mean) / std


def control(reference, grey):
    """[B,z,1,h,w] and [1,z,f,h,w] to the control channels [B,2z+64,1+f,h,w]: kept, redrawn, mask."""
    shape = (reference.shape[0], 64, *grey.shape[2:])
    head = torch.cat([reference, torch.zeros_like(reference), reference.new_zeros(shape)[:, :, :1]], 1)
    body = torch.cat([grey, grey], 1).expand(shape[0], -1, -1, -1, -1)
    return torch.cat([head, torch.cat([body, body.new_ones(shape)], 1)], 2)


def build(work):
    """The finished transformer with the VACE blocks of WORK/cameo, or with ones that begin as copies of its own and add nothing."""
    base = WanTransformer3DModel.from_pretrained(f"{work}/model/transformer").float()
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
    known = f"{work}/cameo/diffusion_pytorch_model.safetensors"
    if os.path.exists(known):
        model.load_state_dict({k: v for k, v in load_file(known).items() if k.startswith("vace")}, strict=False)
    for name, p in model.named_parameters():
        p.requires_grad_(name.startswith("vace"))
    for block in (*model.blocks, *model.vace_blocks):
        block.attn2.set_processor(PadAware())
    return model


def train(args, team):
    torch.manual_seed(0)
    folder = f"{args.work}/model"
    tokenizer = T5TokenizerFast.from_pretrained(f"{folder}/tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(f"{folder}/text_encoder").float().to(device())
    latents, person, scenes = data.load(args.work, with_faces=True)
    latents, person, grey = latents.to(device()), person.to(device()), grey_video(args.work).to(device())
    model = build(args.work).to(device())
    trained = {k: p for k, p in model.named_parameters() if p.requires_grad}
    course = Trainer(args, team, "cameo", trained, lambda: model.save_pretrained(f"{args.work}/cameo"))
    if args.compile:
        for block in (*model.blocks, *model.vace_blocks):
            block.compile(dynamic=False)
    rng = course.rng
    while course.running():
        pick = rng.integers(len(scenes), size=args.batch)
        texts = ["" if rng.random() < args.drop else vague_caption(rng, scenes[i], 0, 0) for i in pick]
        pick = torch.from_numpy(pick).to(device())
        x0 = latents[pick].float()
        share = torch.nn.functional.pad(person[pick].float(), (0, 0, 0, 0, 1, 0))[:, None]
        weight = 1 + args.emphasis * share
        x, timestep, velocity = noised(x0)
        with precision():
            with torch.no_grad():
                text, PadAware.bias = encode_text(encoder, tokenizer, texts)
            v = model(x, timestep, text, None, control(x0[:, :, :1], grey), return_dict=False)[0]
        error = (v.float() - velocity).square()
        loss = (error * weight).mean() / weight.mean()
        course.descend(loss, {"loss": loss, "person": (error * share).sum() / (share.sum() * error.shape[1])})
    course.save()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    options(p, steps=3000, lr=2e-3)
    p.add_argument("--batch", type=int, default=6, help="clips per process and step")
    p.add_argument("--compile", type=int, default=1)
    p.add_argument("--drop", type=float, default=0.1, help="share of captions left out, for guidance")
    p.add_argument("--emphasis", type=float, default=4.0, help="extra weight of the person in the loss")
    args = p.parse_args()
    launch(train, args, args.processes)
