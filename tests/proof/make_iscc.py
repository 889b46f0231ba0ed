#!/usr/bin/env python3
"""make_iscc.py CLIP... - the Video-Codes that test_fingerprint.c knows, by iscc-core 1.5.0 (pip install iscc-core) on ffmpeg's signatures."""
import os, re, subprocess, sys, tempfile
import iscc_core

for clip in sys.argv[1:]:
    with tempfile.TemporaryDirectory() as folder:
        xml = os.path.join(folder, "s.xml")
        subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-vf", f"fps=fps=5,signature=format=xml:filename={xml}", "-f", "null", "-"], check=True)
        text = open(xml).read()
    signatures = [tuple(map(int, one.split())) for one in re.findall(r"<FrameSignature>([^<]*)</FrameSignature>", text)]
    codes = [iscc_core.gen_video_code(signatures, bits)["iscc"] for bits in (64, 256)]
    print(f'    {{"{os.path.basename(clip)}", "{codes[0]}", "{codes[1]}"}},')
