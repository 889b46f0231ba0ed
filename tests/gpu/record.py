"""record.py LINES OUT - makes OUT/record.json and OUT/record.txt of the JSON lines that a run has written so far."""
import json
import os
import sys


def read(path):
    found = []
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            try:
                found.append(json.loads(line))
            except ValueError:
                pass  # a line that was being written
    return found


def table_of_ops(lines, text):
    text.append("Ops against ref (root mean square of the difference over ref's)")
    for s in (x for x in lines if x["part"] == "ops" and "cases" in x):
        text.append(f"  {s['how']:24} {s['cases'] - s['bad']} of {s['cases']} within tolerance   {s['notes']}")
    for x in lines:
        if x["part"] == "ops" and x.get("ok") is False:
            text.append(f"  BAD  {x['how']}, case {x['case']}, {x['op']}: off by {x['off']:.2e}, allowed {x['allowed']:.1e}")
        if x["part"] == "ops" and "error" in x:
            text.append(f"  FAILED  {x['op']}: {x['error']}")


def table_of_parity(lines, text):
    text.append("\nReferences (worst of each stage; in brackets what is allowed)")
    for x in (x for x in lines if x["part"] == "parity"):
        stages = "  ".join(f"{k} {v[0]:.1e} ({v[1]:.1e})" for k, v in x.items() if isinstance(v, list))
        text.append(f"  {'ok ' if x['ok'] else 'BAD'} {x['reference']:14} {x['how']:30} {stages}{x.get('error', '')}")
    for x in lines:
        if x["part"] == "ranks":
            text.append(f"  {'ok ' if x.get('ok') else 'BAD'} {x['how']} {x.get('error', '')}")


def table_of_rates(lines, text, rate):
    text.append("\nPyTorch on the same device")
    for x in (x for x in lines if x["part"] == "torch"):
        if "error" in x:
            text.append(f"  {x['what']} failed: {x['error']}")
        elif x["what"] == "product":
            text.append(f"  product {x['m']} x {x['n']} x {x['k']}: {x['tflop_per_s']} TFLOP/s")
        elif x["what"] == "attention":
            text.append(f"  attention ({x['by']}) {x['heads']} heads, {x['queries']} x {x['keys']}: {x['tflop_per_s']} TFLOP/s, "
                        f"{x['ms']} ms")
        elif x["what"] == "copy":
            text.append(f"  copy: {x['tb_per_s']} TB/s read and written")
    for x in (x for x in lines if x["part"] == "rate attention"):
        text.append(f"  this program's attention, graph {x['form']}, engine {x['engine']}: {x['heads']} heads, "
                    f"{x['queries']} x {x['keys']}: {x['tflop_per_s']} TFLOP/s")
    for x in (x for x in lines if x["part"] == "rate upsampled"):
        text.append(f"  upsampler {'x'.join(str(d) for d in x['size'])}: in four phases {x['phases_ms']} ms, over the doubled picture "
                    f"{x['doubled_ms']} ms, {x['apart']:.1e} apart{'' if x['ok'] else '  BAD'}")
    text.append(f"\nThis program (per cent of {rate or '?'} TFLOP/s, the measured rate of an 8192^3 bf16 product)")
    for x in (x for x in lines if x["part"] in ("bench", "rate")):
        if "error" in x:
            text.append(f"  {x.get('stage', 'rate')} {x.get('shape', '')} failed: {x['error']}")
            continue
        share = f" {100 * x['tflop_per_s'] / rate:5.1f} %" if rate else ""
        if x["part"] == "rate":
            text.append(f"  product {x['dtype']} {x['m']} x {x['n']} x {x['k']} with GELU: {x['tflop_per_s']} TFLOP/s{share}")
            continue
        size = "x".join(str(d) for d in x["latent"])
        dtype = f" {x['dtype']}" if x.get("dtype") in ("fp8", "int8") or x["stage"].startswith("vae") else ""
        dtype += " frame by frame" if x.get("one_by_one") else ""
        text.append(f"  {x['stage']} {x['shape']}{dtype} {size}, {x['layers']} layers{', with events' if x['profiled'] else ''}: "
                    f"{x['seconds'][1]:.4f} s ({x['seconds'][0]:.4f} to {x['seconds'][2]:.4f}), {x['tflop']:.2f} TFLOP, "
                    f"{x['tflop_per_s']:.1f} TFLOP/s{share}")


def table_of_times(lines, text):
    text.append("\nWhere the time goes, by op (milliseconds per evaluation, or step; calls)")
    for x in lines:
        if x["part"] == "bench" and x["profiled"]:
            text.append(f"  {x['stage']} {x['shape']} {x.get('dtype', '')}:")
        if x["part"] == "notes":
            text.append(f"    {x['notes']}")
        if x["part"] == "profile" and x["ms"] >= 0.01:
            text.append(f"    {x['ms']:10.3f} {x['calls']:6.1f}  {x['op']}")


def main():
    lines, out = read(sys.argv[1]), sys.argv[2]
    machine = next((x for x in lines if x["part"] == "machine"), {})
    squares = [x["tflop_per_s"] for x in lines
               if x["part"] == "torch" and x.get("what") == "product" and x["m"] == x["n"] == x["k"] == 8192]
    text = [f"{k}: {v}" for k, v in machine.items() if k != "part"] + [""]
    table_of_ops(lines, text)
    table_of_parity(lines, text)
    table_of_rates(lines, text, squares[0] if squares else None)
    table_of_times(lines, text)
    text.append("\nSteps (exit status, seconds)")
    for x in (x for x in lines if x["part"] == "step"):
        text.append(f"  {'ok ' if x['rc'] == 0 else 'BAD'} {x['name']}: {x['rc']}, {x.get('seconds', 0)} s{x.get('why', '')}")
    for name, content in (("record.txt", "\n".join(text) + "\n"), ("record.json", json.dumps(lines, indent=1))):
        draft = os.path.join(out, name + ".draft")
        with open(draft, "w", encoding="utf-8") as f:
            f.write(content)
        os.replace(draft, os.path.join(out, name))


main()
