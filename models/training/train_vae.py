"""Trains the video autoencoder on crops of rendered clips.

    python train_vae.py --work WORK --steps 1600      resumes; with the state gone it starts from WORK/model/vae
    python train_vae.py --work WORK --decoder-only    the same for the decoder alone, once latents are cached
"""
import argparse
import math
import os

import numpy as np
import torch
from diffusers import AutoencoderKLWan

import clips as data
import fast_vae
import faces
from team import launch
from trainer import Trainer, device, options, precision

CONFIG = dict(base_dim=16, decoder_base_dim=24, z_dim=16, dim_mult=[1, 2, 4], num_res_blocks=1, attn_scales=[],
              temperal_downsample=[True, True], in_channels=12, out_channels=12, patch_size=2,
              scale_factor_spatial=8, scale_factor_temporal=4, latents_mean=[0.0] * 16, latents_std=[1.0] * 16)
PICTURES = (4, 1, 64, 64)   # single frames first: cheap, and they teach the spatial layers quickly
WHOLE = 20   # on a GPU: clips per step, whole ones
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


def to_tensor(pixels, where="cpu"):
    """uint8 [..., F, h, w, 3] to float [..., 3, F, h, w] in -1..1."""
    return torch.as_tensor(pixels if torch.is_tensor(pixels) else np.array(pixels)).to(where).movedim(-1, -4).float() / 127.5 - 1


def random_crops(rng, clips, masks, count, frames, height, width):
    """Crops [n,F,h,w,3], most of them around the object, and where it shows: it covers a few per cent of the picture."""
    parts, shows = [], []
    for _ in range(count):
        i, t = rng.integers(len(clips)), rng.integers(clips.shape[1] - frames + 1)
        clip, shown = clips[i, t:t + frames], masks[i, t:t + frames]
        y = rng.integers(clip.shape[1] // 8 - height // 8 + 1) * 8
        x = rng.integers(clip.shape[2] // 8 - width // 8 + 1) * 8
        if height < clip.shape[1] and shown.any() and rng.random() < 0.7:
            _, ys, xs = np.nonzero(shown)
            k = rng.integers(len(ys))
            y = np.clip((ys[k] - rng.integers(height)) // 8 * 8, 0, clip.shape[1] - height)
            x = np.clip((xs[k] - rng.integers(width)) // 8 * 8, 0, clip.shape[2] - width)
        parts.append(clip[:, y:y + height, x:x + width])
        shows.append(shown[:, y:y + height, x:x + width])
    return np.stack(parts), np.stack(shows)


def batch(rng, sets, portraits, args, step):
    """What this step looks at, and where its object shows: crops (whole clips on a GPU, where the sets lie), single frames
    first, and a reference picture now and then."""
    if portraits and step % 10 == 4:
        parts = np.stack([portraits[k] for k in rng.integers(len(portraits), size=16)])
        return torch.from_numpy(parts), torch.zeros(parts.shape[:-1], dtype=torch.bool)
    clips, masks = sets[1] if len(sets) > 1 and step % 3 == 2 else sets[0]
    if torch.is_tensor(clips):
        pick = torch.from_numpy(rng.integers(len(clips), size=WHOLE)).to(clips.device)
        return clips[pick], masks[pick]
    pictures = step < args.pictures and not args.decoder_only
    return [torch.from_numpy(v) for v in random_crops(rng, clips, masks, *(PICTURES if pictures else CROPS[step % len(CROPS)]))]


def edge_loss(a, b):
    """Difference of the gradients in space and time: keeps outlines crisp and motion steady."""
    return sum((a.diff(dim=d) - b.diff(dim=d)).abs().mean() for d in (2, 3, 4))


def psnr(a, b):
    return -10 * math.log10(((a.clamp(-1, 1) - b) / 2).square().mean().item() + 1e-12)


def train(args, team):
    torch.manual_seed(0)
    folder = f"{args.work}/model/vae"
    known = os.path.exists(f"{folder}/config.json")
    vae = AutoencoderKLWan.from_pretrained(folder).float() if known else AutoencoderKLWan(**CONFIG)
    if not known:
        start_weights(vae)
    vae.to(device())
    if args.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    trained = {k: p for k, p in vae.named_parameters() if p.requires_grad}
    course = Trainer(args, team, "decoder" if args.decoder_only else "vae", trained, lambda: vae.save_pretrained(folder))
    sets, portraits = [data.load(f"{args.work}/data", args.clips)], []
    if args.faces:
        sets.append(data.load(f"{args.work}/data-faces", args.faces, with_faces=True))
        portraits = [data.canvas(faces.reference(f)) for f in data.cast(args.faces)[:200]]
    if device() == "cuda":
        sets = [[torch.from_numpy(np.asarray(v)).to(device()) for v in s] for s in sets]
    while course.running():
        x, shown = batch(course.rng, sets, portraits, args, course.step)
        x = to_tensor(x, device())
        weight = 1 + args.emphasis * shown.to(device()).float()[:, None]   # an even loss would leave it a colourless smear
        with precision():
            mean, logvar = fast_vae.encode(vae, x)
            y = fast_vae.decode(vae, mean + torch.randn_like(mean) * (0.5 * logvar).exp())
        mean, logvar, y = mean.float(), logvar.float(), y.float()
        error = (y - x).abs()
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        loss = ((error + args.square * error.square()) * weight).mean() / weight.mean() + 0.2 * edge_loss(y, x) + args.kl * kl
        square = ((y.detach().clamp(-1, 1) - x) / 2).square().mean(1, keepdim=True)
        there = weight > 1
        course.descend(loss, {"l1": error.mean(), "kl": kl, "psnr": -10 * square.mean().log10(),
                              "thing": -10 * ((square * there).sum() / there.sum().clamp(min=1)).clamp(min=1e-6).log10()})
    course.save()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    options(p, steps=1600, lr=4e-3)
    p.add_argument("--pictures", type=int, default=400, help="steps on single frames before the clips")
    p.add_argument("--decoder-only", action="store_true", help="leave the encoder, and so the latents, as they are")
    p.add_argument("--clips", type=int, default=2000)
    p.add_argument("--faces", type=int, default=0, help="as many clips with a face, every third step, for a cameo")
    p.add_argument("--emphasis", type=float, default=4.0, help="extra weight of the object in the loss")
    p.add_argument("--kl", type=float, default=3e-4)
    p.add_argument("--square", type=float, default=1.0, help="weight of the squared error beside the absolute one")
    args = p.parse_args()
    launch(train, args, args.processes)
