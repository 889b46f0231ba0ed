"""PyTorch's matrix products and attention on this device, at the shapes of the transformer: one JSON object a line.

The largest square product's rate is what the record's per cents are of."""
import json
import sys

import torch
import torch.nn.functional as F

CPU = len(sys.argv) > 1 and sys.argv[1] == "cpu"
DEVICE = "cpu" if CPU else "cuda"
PRODUCTS = [(64, 64, 64)] if CPU else [(8192, 8192, 8192), (75600, 5120, 5120), (75600, 13824, 5120), (75600, 5120, 13824),
                                       (32760, 5120, 5120), (32760, 1536, 1536), (32760, 8960, 1536)]
ATTENTIONS = [(2, 64, 64)] if CPU else [(40, 75600, 75600), (40, 75600, 512), (40, 32760, 32760), (24, 27280, 27280),
                                        (12, 32760, 32760)]


def say(**fields):
    print(json.dumps({"part": "torch", **fields}), flush=True)


def seconds(run, repeat):
    """Median of `repeat` runs after two that warm up."""
    if CPU:
        run()
        return 1.0
    times = []
    for i in range(repeat + 2):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        if i >= 2:
            times.append(begin.elapsed_time(end) / 1e3)
    return sorted(times)[len(times) // 2]


def product(m, n, k):
    a = torch.randn(m, k, device=DEVICE, dtype=torch.bfloat16)
    b = torch.randn(n, k, device=DEVICE, dtype=torch.bfloat16)
    t = seconds(lambda: F.linear(a, b), 10)
    say(what="product", m=m, n=n, k=k, tflop_per_s=round(2e-12 * m * n * k / t, 1))


def attention(heads, queries, keys, name, backends):
    q = torch.randn(1, heads, queries, 128, device=DEVICE, dtype=torch.bfloat16)
    k = torch.randn(1, heads, keys, 128, device=DEVICE, dtype=torch.bfloat16)
    v = torch.randn(1, heads, keys, 128, device=DEVICE, dtype=torch.bfloat16)

    def run():
        if backends is None:
            return F.scaled_dot_product_attention(q, k, v)
        with torch.nn.attention.sdpa_kernel(backends):
            return F.scaled_dot_product_attention(q, k, v)

    t = seconds(run, 3)
    say(what="attention", by=name, heads=heads, queries=queries, keys=keys,
        tflop_per_s=round(4e-12 * heads * queries * keys * 128 / t, 1), ms=round(1e3 * t, 3))


def copy_rate():
    a = torch.empty(1 << 30, device=DEVICE, dtype=torch.float32)
    b = torch.empty_like(a)
    t = seconds(lambda: b.copy_(a), 10)
    say(what="copy", tb_per_s=round(2 * a.numel() * 4 / t / 1e12, 2))


def attempt(what, run, *arguments):
    try:
        run(*arguments)
    except Exception as e:  # the others go on
        say(what=what, error=f"{arguments}: {e}"[:300])


say(what="versions", torch=torch.__version__, cuda=torch.version.cuda,
    cudnn=None if CPU else torch.backends.cudnn.version(), nccl=None if CPU else str(torch.cuda.nccl.version()))
for shape in PRODUCTS:
    attempt("product", product, *shape)
kinds = [("default", None)]
if not CPU:
    kinds += [("cudnn", [torch.nn.attention.SDPBackend.CUDNN_ATTENTION]),
              ("flash", [torch.nn.attention.SDPBackend.FLASH_ATTENTION])]
    attempt("copy", copy_rate)
for shape in ATTENTIONS:
    for kind in kinds:
        attempt("attention", attention, *shape, *kind)
