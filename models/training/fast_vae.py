"""AutoencoderKLWan for training: the same weights and the same function, several times faster on a CPU.

Frames become the batch: a causal 3x3x3 convolution is a 2D convolution over three stacked frames, which PyTorch runs
near the speed of a matrix product, and the whole clip goes through at once instead of one cached chunk at a time.
Tensors are [batch, time, height, width, channels]. `check` compares with diffusers' own module.
"""
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_wan import (
    WanAttentionBlock, WanResample, WanResidualBlock, WanUpBlock, patchify, unpatchify)


def conv2d(x, weight, bias, **options):
    b, t = x.shape[:2]
    y = F.conv2d(x.flatten(0, 1).permute(0, 3, 1, 2), weight.contiguous(memory_format=torch.channels_last), bias, **options)
    return y.permute(0, 2, 3, 1).unflatten(0, (b, t))


def taps(x, count, before):
    """Frames t-2, t-1, t beside each other in the channels; `before` zero frames go in front."""
    x = F.pad(x, (0, 0, 0, 0, 0, 0, before, 0))
    t = x.shape[1] - count + 1
    return torch.cat([x[:, k:k + t] for k in range(count)], -1)


def conv(m, x):
    """WanCausalConv3d with kernel 3x3x3 or 1x1x1."""
    w = m.weight
    if w.shape[2] == 1:
        return F.linear(x, w[:, :, 0, 0, 0], m.bias)
    return conv2d(taps(x, 3, 2), w.permute(0, 2, 1, 3, 4).flatten(1, 2), m.bias, padding=1)


def time_conv(m, x):
    """Kernel 3x1x1 on frames already stacked."""
    return F.linear(x, m.weight[..., 0, 0].permute(0, 2, 1).flatten(1), m.bias)


def norm(m, x):
    """WanRMS_norm; its result has the type of x, which halves what bf16 moves."""
    length = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=torch.float32).clamp(min=1e-12)
    return x * (m.scale / length).to(x.dtype) * m.gamma.flatten().to(x.dtype)


def residual(m, x):
    h = conv(m.conv1, F.silu(norm(m.norm1, x)))
    h = conv(m.conv2, F.silu(norm(m.norm2, h)))
    return h + (x if isinstance(m.conv_shortcut, torch.nn.Identity) else conv(m.conv_shortcut, x))


def attention(m, x):
    qkv = F.linear(norm(m.norm, x), m.to_qkv.weight[:, :, 0, 0], m.to_qkv.bias).flatten(2, 3)
    q, k, v = qkv.chunk(3, -1)
    y = F.scaled_dot_product_attention(q, k, v).unflatten(2, x.shape[2:4])
    return x + F.linear(y, m.proj.weight[:, :, 0, 0], m.proj.bias)


def resample(m, x):
    c = m.resample[1]
    if m.mode.startswith("down"):
        x = conv2d(F.pad(x, (0, 0, 0, 1, 0, 1)), c.weight, c.bias, stride=2)
        if m.mode == "downsample3d":
            x = torch.cat([x[:, :1], time_conv(m.time_conv, taps(x, 3, 0)[:, ::2])], 1)
        return x
    if m.mode == "upsample3d":
        y = time_conv(m.time_conv, taps(x[:, 1:], 3, 2))
        y = torch.stack(y.chunk(2, -1), 2).flatten(1, 2)
        x = torch.cat([x[:, :1], y], 1)
    x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
    return conv2d(x, c.weight, c.bias, padding=1)


def layer(m, x):
    if isinstance(m, WanResidualBlock):
        return residual(m, x)
    if isinstance(m, WanAttentionBlock):
        return attention(m, x)
    if isinstance(m, WanResample):
        return resample(m, x)
    if isinstance(m, WanUpBlock):
        for block in (*m.resnets, *(m.upsamplers or ())):
            x = layer(block, x)
        return x
    raise TypeError(f"no fast form of {type(m).__name__}")


def middle(m, x):
    return residual(m.resnets[1], attention(m.attentions[0], residual(m.resnets[0], x)))


def encode(vae, x):
    """[B,3,F,H,W] -> mean and log variance, [B,z,f,h,w] each."""
    e = vae.encoder
    if vae.config.patch_size:
        x = patchify(x, vae.config.patch_size)
    x = conv(e.conv_in, x.permute(0, 2, 3, 4, 1))
    for m in e.down_blocks:
        x = layer(m, x)
    x = conv(e.conv_out, F.silu(norm(e.norm_out, middle(e.mid_block, x))))
    return conv(vae.quant_conv, x).permute(0, 4, 1, 2, 3).chunk(2, 1)


def decode(vae, z):
    """[B,z,f,h,w] -> [B,3,F,H,W], not clamped: a clamp would stop the gradient of saturated pixels."""
    d = vae.decoder
    x = middle(d.mid_block, conv(d.conv_in, conv(vae.post_quant_conv, z.permute(0, 2, 3, 4, 1))))
    for m in d.up_blocks:
        x = layer(m, x)
    x = conv(d.conv_out, F.silu(norm(d.norm_out, x))).permute(0, 4, 1, 2, 3)
    return unpatchify(x, vae.config.patch_size) if vae.config.patch_size else x


@torch.no_grad()
def check(vae, frames=9, height=32, width=48):
    """Largest difference from diffusers' own encode and decode, relative to the largest value."""
    x = torch.rand(2, 3, frames, height, width) * 2 - 1
    theirs = vae.encode(x).latent_dist.mean
    ours = encode(vae, x)[0]
    z = torch.randn_like(theirs)
    return ((ours - theirs).abs().max() / theirs.abs().max()).item(), \
        (decode(vae, z).clamp(-1, 1) - vae.decode(z).sample).abs().max().item()
