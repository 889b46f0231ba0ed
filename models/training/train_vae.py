"""Trains the video autoencoder on crops of rendered clips.

    python train_vae.py --work WORK --steps 1600      resumes; with the state gone it starts from WORK/model/vae
    python train_vae.py --work WORK --decoder-only    the same for the decoder alone, once latents are cached
"""
import argparse
import math
import os
import time

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import clips as data
import fast_vae
from muon import Muon
from team import launch

CONFIG = dict(base_dim=16, decoder_base_dim=24, z_dim=16, dim_mult=[1, 2, 4], num_res_blocks=1, attn_scales=[],
              temperal_downsample=[True, True], in_channels=12, out_channels=12, patch_size=2,
              scale_factor_spatial=8, scale_factor_temporal=4, latents_mean=[0.0] * 16, latents_std=[1.0] * 16)
PICTURES = (4, 1, 64, 64)   # single frames first: cheap, and they teach the spatial layers quickly
CROPS = [  # clips per process, frames, height, width: about equal work, from many small views to one whole picture
    (2, 9, 48, 48), (2, 9, 48, 48), (1, 17, 48, 48), (2, 9, 48, 48), (1, 9, 112, 64), (1, 33, 32, 48)]


@torch.no_grad()
def start_weights(vae, logvar=-4.0):
    """Starts every 3x3x3 convolution as a picture convolution with unit gain and no bias.

    PyTorch's default shrinks the signal layer by layer until biases dominate and the norms amplify a nearly constant
    picture. Resampling starts by passing pixels and frames through, so pictures decode as still clips at once.
    """
    for name, m in vae.named_modules():
        if isinstance(m, (torch.nn.Conv3d, torch.nn.Conv2d)):
            gain = 0.1 if name.endswith("conv2") else 1.4 if name.endswith("conv1") else 1.0
            m.weight.normal_(std=gain * (m.weight.shape[1] * m.weight.shape[-1] * m.weight.shape[-2]) ** -0.5)
            m.bias.zero_()
            if m.weight.dim() == 5 and m.weight.shape[2] == 3:
                m.weight[:, :, :2] *= 0.1
        if name.endswith("resample.1"):
            m.weight *= 0.2
            for k in range(m.weight.shape[0]):
                if ".down_blocks" in name:
                    m.weight[k, k, :2, :2] += 0.1
                    m.weight[k, k, k // 2 % 2, k % 2] += 0.7
                else:
                    m.weight[k, 2 * k:2 * k + 2, 1, 1] += 0.7
        if name.endswith("time_conv"):
            m.weight *= 0.1
            c = m.weight.shape[1]
            if m.weight.shape[0] == c:
                for tap, share in enumerate((0.2, 0.3, 0.5)):
                    m.weight[range(c), range(c), tap] += share
            else:
                m.weight[range(c), range(c), 2] += 1
                m.weight[range(c, 2 * c), range(c), 2] += 1
    z = vae.config.z_dim
    vae.quant_conv.weight.zero_()
    vae.quant_conv.weight[range(z), range(z)] = 1
    vae.quant_conv.bias[z:] = logvar
    vae.decoder.conv_out.weight *= 0.2


def to_tensor(pixels):
    """uint8 [..., F, h, w, 3] to float [..., 3, F, h, w] in -1..1."""
    return torch.from_numpy(np.array(pixels)).movedim(-1, -4).float() / 127.5 - 1


def random_crops(rng, clips, masks, count, frames, height, width):
    """Crops, most of them around the object, and a weight for every pixel: the object covers a few per cent of the
    picture, and an even loss would leave it a colourless smear."""
    parts, weights = [], []
    for _ in range(count):
        i, t = rng.integers(len(clips)), rng.integers(clips.shape[1] - frames + 1)
        clip, shown = clips[i, t:t + frames], masks[i, t:t + frames]
        y = rng.integers(clip.shape[1] // 8 - height // 8 + 1) * 8
        x = rng.integers(clip.shape[2] // 8 - width // 8 + 1) * 8
        if shown.any() and rng.random() < 0.7:
            _, ys, xs = np.nonzero(shown)
            k = rng.integers(len(ys))
            y = np.clip((ys[k] - rng.integers(height)) // 8 * 8, 0, clip.shape[1] - height)
            x = np.clip((xs[k] - rng.integers(width)) // 8 * 8, 0, clip.shape[2] - width)
        parts.append(to_tensor(clip[:, y:y + height, x:x + width]))
        weights.append(1 + 4 * torch.from_numpy(shown[:, y:y + height, x:x + width].astype(np.float32))[None])
    return torch.stack(parts), torch.stack(weights)


def edge_loss(a, b):
    """Difference of the gradients in space and time: keeps outlines crisp and motion steady."""
    return sum((a.diff(dim=d) - b.diff(dim=d)).abs().mean() for d in (2, 3, 4))


def psnr(a, b):
    return -10 * math.log10(((a.clamp(-1, 1) - b) / 2).square().mean().item() + 1e-12)


def train(args, team):
    torch.manual_seed(0)
    folder, state_file = f"{args.work}/model/vae", f"{args.work}/state/vae.pt"
    known = os.path.exists(f"{folder}/config.json")
    vae = AutoencoderKLWan.from_pretrained(folder).float() if known else AutoencoderKLWan(**CONFIG)
    if not known:
        start_weights(vae)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    vae.to(device)
    if args.decoder_only:
        state_file = f"{args.work}/state/decoder.pt"
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    trained = [p for p in vae.parameters() if p.requires_grad]
    optimizer, step = Muon(trained, args.lr, team), 0
    average = [p.detach().clone() for p in trained]
    if os.path.exists(state_file):
        state = torch.load(state_file, map_location=device)
        vae.load_state_dict(state["vae"])
        optimizer.load_state_dict(state["optimizer"])
        average, step = state["average"], state["step"]
    clips, masks = data.load(f"{args.work}/data", args.clips)
    rng = np.random.default_rng([step, team.rank])
    torch.manual_seed(step * 10 + team.rank)

    def save():
        live = {k: v.clone() for k, v in vae.state_dict().items()}
        os.makedirs(os.path.dirname(state_file), exist_ok=True)
        torch.save({"vae": live, "optimizer": optimizer.state_dict(), "average": average, "step": step}, state_file + ".new")
        os.replace(state_file + ".new", state_file)
        with torch.no_grad():
            torch._foreach_copy_(trained, average)
        vae.save_pretrained(folder)
        vae.load_state_dict(live)

    seen, start = [], time.time()
    while step < args.steps:
        x, weight = random_crops(rng, clips, masks, *(PICTURES if step < args.pictures and not args.decoder_only else CROPS[step % len(CROPS)]))
        x, weight = x.to(device), weight.to(device)
        mean, logvar = fast_vae.encode(vae, x)
        y = fast_vae.decode(vae, mean + torch.randn_like(mean) * (0.5 * logvar).exp())
        error = (y - x).abs()
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        loss = ((error + error.square()) * weight).mean() / weight.mean() + 0.2 * edge_loss(y, x) + args.kl * kl
        optimizer.zero_grad()
        loss.backward()
        team.mean_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step(args.lr * min(1, (step + 1) / 20) * (1 - 0.97 * step / args.steps))
        step += 1
        with torch.no_grad():
            torch._foreach_lerp_(average, trained, 1 - min(0.995, (1 + step) / (10 + step)))
        seen.append([error.mean().item(), kl.item(), psnr(y.detach(), x)])
        if team.chief and step % 30 == 0:
            l1, k, p = np.mean(seen[-30:], 0)
            print(f"step {step} l1 {l1:.4f} kl {k:.2f} psnr {p:.2f}  {(time.time() - start) / len(seen):.2f} s/step", flush=True)
        if team.chief and step % 150 == 0:
            save()
    if team.chief:
        save()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--work", default="work")
    p.add_argument("--steps", type=int, default=1600)
    p.add_argument("--pictures", type=int, default=400, help="steps on single frames before the clips")
    p.add_argument("--decoder-only", action="store_true", help="leave the encoder, and so the latents, as they are")
    p.add_argument("--clips", type=int, default=2000)
    p.add_argument("--lr", type=float, default=4e-3)
    p.add_argument("--kl", type=float, default=3e-4)
    p.add_argument("--processes", type=int, default=2)
    args = p.parse_args()
    launch(train, args, args.processes)
