#!/usr/bin/env python3
"""Times Reelwright, diffusers and OpenVINO at the same shapes in the same run and prints the ratios.

    pip install torch diffusers transformers openvino        (from PyPI, CPU builds will do)
    python tools/bench_peers.py --stage transformer --shape 1.3b --layers 3 --latent 1x60x104 --dtype bf16

The rounds go round the peers in turn, so that a machine's slow minute meets all of them; given are medians over the rounds,
and how many times as long as Reelwright's each takes; and the same of processor time, which other work on the machine changes less
(with OMP_WAIT_POLICY=passive KMP_BLOCKTIME=0, or PyTorch's threads spend some of it waiting). Weights are random. A transformer
evaluation is one call with a prompt of 512 rows; a peer that makes keys and values of the prompt in every call (diffusers, and so OpenVINO) is timed with
that, as it is used. GFLOP/s are by the definition of what Reelwright evaluates (see `reelwright bench`).
"""
import argparse
import json
import statistics
import subprocess
import sys
import time

DIT = {"1.3b": dict(num_attention_heads=12, ffn_dim=8960, in_channels=16, out_channels=16),
       "5b": dict(num_attention_heads=24, ffn_dim=14336, in_channels=48, out_channels=48),
       "14b": dict(num_attention_heads=40, ffn_dim=13824, in_channels=16, out_channels=16)}
VAE_5B = dict(base_dim=160, decoder_base_dim=256, z_dim=48, dim_mult=[1, 2, 4, 4], num_res_blocks=2,
              temperal_downsample=[False, True, True], is_residual=True, in_channels=12, out_channels=12, patch_size=2,
              scale_factor_spatial=16, latents_mean=[0.0] * 48, latents_std=[1.0] * 48)


def torch_stage(a):
    """The stage in PyTorch: (module whose forward takes the inputs, inputs)."""
    import torch
    torch.manual_seed(0)
    f, h, w = (int(n) for n in a.latent.split("x")) if a.latent else (0, 0, 0)
    if a.stage == "transformer":
        from diffusers import WanTransformer3DModel
        layers = a.layers or (40 if a.shape == "14b" else 30)
        model = WanTransformer3DModel(num_layers=layers, **DIT[a.shape])

        class Transformer(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def forward(self, latent, timestep, prompt):
                return self.model(latent, timestep, prompt, return_dict=False)[0]
        return Transformer(), [torch.randn(1, DIT[a.shape]["in_channels"], f, h, w), torch.tensor([500]),
                               torch.randn(1, 512, 4096)]
    if a.stage == "text":
        from transformers import UMT5Config, UMT5EncoderModel
        model = UMT5EncoderModel(UMT5Config(vocab_size=1024, d_model=4096, d_kv=64, d_ff=10240, num_heads=64,
                                            num_layers=a.layers or 24, feed_forward_proj="gated-gelu",
                                            tie_word_embeddings=False))

        class Text(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.model = model

            def forward(self, ids):
                return self.model(input_ids=ids, return_dict=False)[0]
        return Text(), [torch.arange(a.tokens)[None] * 7 % 1024]
    from diffusers import AutoencoderKLWan
    vae = AutoencoderKLWan(**(VAE_5B if a.shape == "5b" else {}))
    scale = 16 if a.shape == "5b" else 8

    class Vae(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.vae = vae

        def forward(self, x):
            if a.stage == "vae-decode":
                return self.vae.decode(x, return_dict=False)[0]
            return self.vae.encode(x, return_dict=False)[0].mean
    if a.stage == "vae-decode":
        return Vae(), [torch.randn(1, vae.config.z_dim, f, h, w)]
    return Vae(), [torch.randn(1, 3, 1 + 4 * (f - 1), h * scale, w * scale)]


class Diffusers:
    def __init__(self, a):
        import torch
        torch.set_num_threads(a.threads)
        self.torch, (self.module, self.inputs) = torch, torch_stage(a)
        self.module.eval()
        if a.dtype == "bf16":
            self.module.to(torch.bfloat16)
            self.inputs = [x.to(torch.bfloat16) if x.is_floating_point() else x for x in self.inputs]

    def __call__(self):
        with self.torch.inference_mode():
            self.module(*self.inputs)


class OpenVino:
    def __init__(self, a):
        import openvino as ov
        import torch
        module, self.inputs = torch_stage(a)
        with torch.inference_mode():
            model = ov.convert_model(module.eval(), example_input=tuple(self.inputs))
        core = ov.Core()
        self.compiled = core.compile_model(model, "CPU", {
            "INFERENCE_PRECISION_HINT": "bf16" if a.dtype == "bf16" else "f32", "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": a.threads})
        self.request = self.compiled.create_infer_request()
        self.inputs = [x.numpy() for x in self.inputs]

    def __call__(self):
        self.request.infer(dict(enumerate(self.inputs)))


class Reelwright:
    def __init__(self, a):
        self.command = [a.reelwright, "bench", "--stage", a.stage, "--shape", a.shape, "--dtype", a.dtype, "--threads",
                        str(a.threads), "--tokens", str(a.tokens), "--repeat", "1", "--json"]
        self.command += ["--latent", a.latent] if a.latent else []
        self.command += ["--layers", str(a.layers)] if a.layers else []

    def __call__(self):
        self.last = json.loads(subprocess.run(self.command, check=True, capture_output=True, text=True).stdout)
        return self.last["seconds"]["median"], self.last["processor_s"]


def seconds_of(peer):
    """(wall, processor) of one evaluation"""
    start, spent = time.perf_counter(), time.process_time()
    own = peer()
    return own if own is not None else (time.perf_counter() - start, time.process_time() - spent)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--reelwright", default="build/reelwright")
    p.add_argument("--stage", choices=("transformer", "vae-decode", "vae-encode", "text"), required=True)
    p.add_argument("--shape", choices=tuple(DIT), required=True)
    p.add_argument("--layers", type=int, default=0)
    p.add_argument("--latent", default="")
    p.add_argument("--tokens", type=int, default=512)
    p.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--peers", default="diffusers,openvino")
    a = p.parse_args()
    peers, seconds = {"reelwright": Reelwright(a)}, {}
    for name, kind in (("diffusers", Diffusers), ("openvino", OpenVino)):
        if name not in a.peers.split(","):
            continue
        try:
            peers[name] = kind(a)
            peers[name]()
        except Exception as error:  # a peer that cannot run this stage is no reason to time none
            peers.pop(name, None)
            print(f"{name} left out: {type(error).__name__}: {str(error).splitlines()[0]}", file=sys.stderr)
    for _ in range(a.rounds):
        for name, peer in peers.items():
            seconds.setdefault(name, []).append(seconds_of(peer))
    flop = peers["reelwright"].last["flop"]
    print(f"{a.stage} {a.shape} {a.latent} {a.dtype}, {a.threads} threads, {flop / 1e12:.3f} TFLOP")
    for n, clock in enumerate(["wall", "processor"]):
        ours = statistics.median(both[n] for both in seconds["reelwright"])
        for name, all_both in seconds.items():
            own = [both[n] for both in all_both]
            median = statistics.median(own)
            print(f"  {name:11s} {clock:9s} {median:9.3f} s ({min(own):.3f} to {max(own):.3f}) "
                  f"{flop / median / 1e9:8.1f} GFLOP/s {median / ours:6.2f} x Reelwright")


if __name__ == "__main__":
    main()
