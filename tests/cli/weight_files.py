# weight_files.py OUT FIXTURES: the weights of a small model and of its adapters, written again as people have them. Each name is a folder of OUT
# that holds model/ or lora.safetensors.
import json, os, shutil, struct, sys

out, fixtures = sys.argv[1:]
base = f"{fixtures}/t2v-0/model"
published = f"{fixtures}/calls/single-published/model"
files = {"transformer": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model", "text_encoder": "model"}


def read(path):
    """-> {name: [dtype, shape, bytes]}, metadata"""
    with open(path, "rb") as f:
        data = f.read()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8 : 8 + n])
    meta = head.pop("__metadata__", None)
    return {k: [v["dtype"], v["shape"], data[8 + n + v["data_offsets"][0] : 8 + n + v["data_offsets"][1]]] for k, v in head.items()}, meta


def write(path, tensors, meta=None):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    head, at = {"__metadata__": meta} if meta else {}, 0
    for name, (dtype, shape, data) in tensors.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(d for _, _, d in tensors.values()))


def numbers(t):
    return struct.unpack(f"<{len(t[2]) // 4}f", t[2])


def wide(t):  # F32 as F64
    return ["F64", t[1], struct.pack(f"<{len(t[2]) // 4}d", *numbers(t))]


def named(prefix, tensors):
    return {prefix + k: v for k, v in tensors.items()}


def model(name, parts):
    """The base model with other tensors in some of its parts."""
    to = f"{out}/{name}/model"
    shutil.copytree(base, to)
    for part, tensors in parts.items():
        os.remove(f"{to}/{part}/{files[part]}.safetensors")
        write(f"{to}/{part}/any.safetensors", tensors)


shutil.rmtree(out, ignore_errors=True)
os.makedirs(out)
part = {p: read(f"{base}/{p}/{n}.safetensors")[0] for p, n in files.items()}
wan = {p: read(f"{published}/{p}/{n}.safetensors")[0] for p, n in (("transformer", "wan-published"), ("vae", "wan_2.1_vae"))}

# ---- whole parts ----
model("plain", {})
for name, prefix in (("module", "module."), ("compiled", "_orig_mod."), ("both-wrappers", "module._orig_mod."), ("comfy", "model.diffusion_model.")):
    model(f"transformer-{name}", {"transformer": named(prefix, part["transformer"])})
    model(f"transformer-wan-{name}", {"transformer": named(prefix, wan["transformer"])})
model("blocks-compiled", {"transformer": {k.replace("blocks.0.", "blocks.0._orig_mod."): v for k, v in part["transformer"].items()}})
for name, prefix in (("first-stage", "first_stage_model."), ("vae", "vae."), ("module", "module.")):
    model(f"vae-{name}", {"vae": named(prefix, part["vae"])})
    model(f"vae-wan-{name}", {"vae": named(prefix, wan["vae"])})
for name, prefix in (("comfy", "text_encoders.umt5xxl.transformer."), ("encoder", "text_encoder."), ("module", "module.")):
    model(f"text-{name}", {"text_encoder": named(prefix, part["text_encoder"])})
one = named("model.diffusion_model.", wan["transformer"]) | named("vae.", wan["vae"]) | named("text_encoders.umt5xxl.transformer.", part["text_encoder"])
model("all-in-one", {p: one for p in files})
model("bad-stray", {"transformer": part["transformer"] | {"transformer.blocks.40.attn1.to_q.weight": part["transformer"]["blocks.0.attn1.to_q.weight"]}})
model("bad-twice", {"transformer": part["transformer"] | named("transformer.", part["transformer"])})
model("tied", {"text_encoder": part["text_encoder"] | {"encoder.embed_tokens.weight": part["text_encoder"]["shared.weight"]}})
model("in-f64", {"transformer": {k: wide(v) for k, v in part["transformer"].items()}, "text_encoder": {k: wide(v) for k, v in part["text_encoder"].items()}})
model("marked", {"transformer": part["transformer"] | {"scaled_fp8": ["F32", [2], b"\0" * 8]} |
      {k[:-6] + "scale_input": ["F32", [], struct.pack("<f", 1)] for k in part["transformer"] if k.endswith("attn1.to_q.weight")}})

# ---- adapters: each gives the same picture as the first, or is refused ----
lora, meta = read(f"{fixtures}/calls/lora-published/lora0.safetensors")  # diffusion_model.*.lora_down, lora_up, alpha, diff_b
pairs = {k: v for k, v in lora.items() if not k.endswith("diff_b")}


def adapter(name, tensors, meta=None):
    write(f"{out}/lora-{name}/lora.safetensors", tensors, meta)


def renamed(swap, tensors=lora):
    done = {}
    for k, v in tensors.items():
        for a, b in swap:
            k = k.replace(a, b)
        done[k] = v
    return done


def rounded(t, kind):  # numbers that each type holds exactly, so that a mix of types is the same adapter
    return [float(round(x * 4)) / 4 for x in numbers(t)]


def stored(t, kind):
    x = rounded(t, kind)
    if kind == "F8_E4M3":  # of multiples of 1/4 up to 2
        code = {0: 0, 0.25: 0x28, 0.5: 0x30, 0.75: 0x34, 1: 0x38, 1.25: 0x3A, 1.5: 0x3C, 1.75: 0x3E, 2: 0x40}
        return [kind, t[1], bytes(code[min(abs(v), 2)] | (0x80 if v < 0 else 0) for v in x)]
    x = [max(-2.0, min(2.0, v)) for v in x]
    if kind == "BF16":
        return [kind, t[1], b"".join(struct.pack("<f", v)[2:] for v in x)]
    return [kind, t[1], struct.pack(f"<{len(x)}{dict(F64='d', F32='f', F16='e')[kind]}", *x)]


adapter("plain", lora)
for name, prefix in (("bare", ""), ("model", "model.diffusion_model."), ("own", "transformer."), ("peft", "base_model.model."), ("module", "module.diffusion_model."),
                     ("compiled", "diffusion_model._orig_mod."), ("peft-compiled", "base_model.model._orig_mod.")):
    adapter(name, renamed([("diffusion_model.", prefix)]))
adapter("ab", renamed([("lora_down", "lora_A"), ("lora_up", "lora_B")]))
adapter("ab-default", renamed([("lora_down", "lora_A.default"), ("lora_up", "lora_B.default")]))
adapter("alpha-one", {k: [v[0], [1], v[2]] if k.endswith(".alpha") else v for k, v in lora.items()})
adapter("alpha-i64", {k: ["I64", [], struct.pack("<q", int(numbers(v)[0]))] if k.endswith(".alpha") else v for k, v in lora.items()})
adapter("alpha-f64", {k: wide(v) if k.endswith(".alpha") else v for k, v in lora.items()})
adapter("f64", {k: wide(v) for k, v in lora.items()})
adapter("rounded", {k: v if k.endswith(".alpha") else stored(v, "F32") for k, v in pairs.items()})
kinds = ["F64", "F16", "BF16", "F8_E4M3", "F32"]
adapter("mixed", {k: v if k.endswith(".alpha") else stored(v, kinds[i % 5]) for i, (k, v) in enumerate(pairs.items())})


def rank_of(k):
    return 1 + sum(map(ord, k.split(".lora")[0])) % 3


def ranked(t, k):  # another rank for each module
    r = rank_of(k)
    x = numbers(t)
    n, m = t[1]
    if "down" in k:
        return ["F32", [r, m], struct.pack(f"<{r * m}f", *x[: r * m])]
    return ["F32", [n, r], struct.pack(f"<{n * r}f", *(x[i * m + j] for i in range(n) for j in range(r)))]


def padded(t, k):  # the same with zeros
    r, (n, m) = rank_of(k), t[1]
    x = numbers(t)
    keep = [v if (i // m < r if "down" in k else i % m < r) else 0.0 for i, v in enumerate(x)]
    return ["F32", t[1], struct.pack(f"<{n * m}f", *keep)]


matrices = {k: v for k, v in lora.items() if ".lora_" in k}
adapter("ranks", {k: ranked(v, k) for k, v in matrices.items()} | {k.split(".lora")[0] + ".alpha": ["F32", [], struct.pack("<f", rank_of(k))] for k in matrices if "down" in k})
adapter("padded", {k: padded(v, k) for k, v in matrices.items()} | {k.split(".lora")[0] + ".alpha": ["F32", [], struct.pack("<f", 3)] for k in matrices if "down" in k})
first = "diffusion_model.blocks.0.self_attn.q"
number = ["F32", [1], struct.pack("<f", 1)]
for name, extra in (("text", "lora_te_encoder_block_0_layer_0_SelfAttention_q.lora_down.weight"), ("image", "diffusion_model.blocks.0.cross_attn.k_img.lora_down.weight"),
                    ("mid", first + ".lora_mid.weight"), ("loha", first + ".hada_w1_a"), ("lokr", first + ".lokr_w1"), ("dora", first + ".dora_scale"),
                    ("unknown", first + ".diff_x")):
    adapter("bad-" + name, lora | {extra: number})
for name, config in (("alpha", dict(r=3, lora_alpha=6)), ("patterns", dict(r=3, lora_alpha=3, rank_pattern=dict(q=2)))):
    write(f"{out}/lora-bad-{name}/adapter_model.safetensors", lora)
    with open(f"{out}/lora-bad-{name}/adapter_config.json", "w") as f:
        json.dump(config, f)
os.makedirs(f"{out}/lora-bad-index")
with open(f"{out}/lora-bad-index/lora.safetensors", "w") as f:
    json.dump({"metadata": {}, "weight_map": {k: "a.safetensors" for k in lora}}, f)
os.makedirs(f"{out}/lora-bad-pytorch")
with open(f"{out}/lora-bad-pytorch/lora.safetensors", "wb") as f:
    f.write(b"PK\3\4" + b"\0" * 400)
