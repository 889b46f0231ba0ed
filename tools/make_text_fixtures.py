#!/usr/bin/env python3
"""Texts, what the Wan pipelines clean them to, and the token ids that they get: fixtures for the tests of the prompt text.

    python tools/make_text_fixtures.py                                     tests/parity/fixtures/text and the fuzz seeds
    python tools/make_text_fixtures.py cases --seed 9 --count 20000 --out FILE [--tokenizer NAME=FOLDER]...
                 more cases; REELWRIGHT_TEXT_CASES=FILE REELWRIGHT_TEXT_FOLDER=DIR test_tokenizer compares them

Needs diffusers 0.42.1, transformers 5.23.0, ftfy 6.3.1. The tokenizers (spiece.model ones) are those of tests/parity/make_reference.py."""
import argparse
import html.entities
import json
import os
import random
import shutil
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{ROOT}/tests/parity")

import make_reference
from diffusers.pipelines.wan.pipeline_wan import prompt_clean
from transformers import T5TokenizerFast

TOKENS = 512
FOLDER = f"{ROOT}/tests/parity/fixtures/text"
SEEDS = f"{ROOT}/tests/fuzz/corpus/tokenizer"

# ------------------------------------------------------------------------------------------------- texts

FIXED = make_reference.TOKENIZER_CASES + [
    "voil\u00c3\u00a0 le travail, \u00c3 la mode", "\u00f0\u0178\u02dc\u20ac smile", "\u00e2\u20ac\u0153quoted\u00e2\u20ac\ufffd", "\u00c3\u00a9 and \u8001",
    "&NTILDE;&eacute;&notit;&amp;amp;lt;", "&#0;&#x80;&#xd800;&#59;&#38;#38;&#1114112;&#xfdd0;&#013;", "<b>&eacute;</b>\n&eacute;",
    "&eacute;\n<b>\n&eacute;", "&\u00e9;&;&#;&#x;&CounterClockwiseContourIntegral;&nGt;", "\x1b[31mred\x1b[0m \x1b[", "a\r\nb\rc\x85d\u2028e\x0cf\x1cg",
    "\ufb01ne \u0133s \u01c6 \u0149 \uff8a\uff9f\uff9d \u3000 \uffe5", "q\u0307\u0323 a\u0323\u0302 \u1100\u1161\u11a8 \u0958 \u212b \u1e9b\u0323",
    "\u00c0\x80", "\u00ed\xa0\u00bd\u00ed\u00b8\x80", "\u00ed\xa0\x80\u00ed\u00b0\n", "\u0413\u045e\u0412\u0402\u0412\u045e A", "\u2534\u2501\u2534 (\u30ce\u0ca0\u76ca\u0ca0)\u30ce",
    "<s>text</s><pad><unk></s>", "<extra_id_0> <extra_id_1>x<extra_id_2><extra_id_99>", "a\u2581b\u2581\u2581c \u2581 \u2581d", "<0x41> </s", " </s>  <pad>x",
    "\u2122\u0308 \u2764\u200d\u2122\u0308 \u00a9\u0308 \U0001f1e9\U0001f1ea\U0001f1eb\u2460\u0301 \u0e33\u0e33", "\u0915\u094d\u0937\u0958\u0300", "\U0001f469\u200d\U0001f469\u200d\U0001f467",
    "\xad\xadsoft\xadhyphen\xad", "\u200b \u200b", "\ufeffmark \u202eright\u202c \ufffc", "x" * 600, "cat " * 300 + "</s>",
]
SENTENCES = [
    "A small red cat walks slowly over the old bridge, and the wind moves the tall grass.", "Le gar\u00e7on a mang\u00e9 d\u00e9j\u00e0 l'\u0153uf, \u00e0 la coque",
    "Ein s\u00fc\u00dfes K\u00e4tzchen l\u00e4uft \u00fcber die Br\u00fccke \u2013 \u201esch\u00f6n\u201c", "\u0411\u044b\u0441\u0442\u0440\u0430\u044f \u043b\u0438\u0441\u0430 \u043f\u0440\u044b\u0433\u0430\u0435\u0442 \u2116 5",
    "\u03b7 \u03b3\u03c1\u03ae\u03b3\u03bf\u03c1\u03b7 \u03b1\u03bb\u03b5\u03c0\u03bf\u03cd", "\u8001\u6865\u4e0a\u7684\u732b\u3002", "\u732b\u304c\uff76\uff80\uff76\uff85\u3092\u898b\u305f", "\ube60\ub978 \uc5ec\uc6b0\uac00 \ub2ec\ub9b0\ub2e4",
    "\u0627\u0644\u062b\u0639\u0644\u0628 \u0627\u0644\u0628\u0646\u064a \u064a\u0642\u0641\u0632", "\u05d4\u05e9\u05d5\u05e2\u05dc \u05d4\u05d7\u05d5\u05dd", "\u0924\u0947\u091c\u093c \u0932\u094b\u092e\u0921\u093c\u0940 \u0915\u094d\u0937", "\u0e2a\u0e38\u0e19\u0e31\u0e02\u0e01\u0e33\u0e25\u0e31\u0e07",
    "Za\u017c\u00f3\u0142\u0107 g\u0119\u015bl\u0105 ja\u017a\u0144", "A\u011fa\u00e7 \u0130stanbul'da \u0131\u011fd\u0131r", "Vi\u1ec7t Nam \u0111\u1ea5t n\u01b0\u1edbc", "\U0001f44d\U0001f3fd \u2764\ufe0f 1\ufe0f\u20e3 \u2122\ufe0f", "x\u00b2 + y\u00b3 \u2260 \u221e \u00b0 \u00bd \u20ac5 \u00a7 \u00b6 \u2020",
    "\u2554\u2550\u2557 \u2591\u2592\u2593 \u2588", "\u201ccurly\u201d \u2018quotes\u2019 \u2026 \u2014 \u2039x\u203a \u00abNo\u00ebl\u00bb", "http://x.y/z?a=b&c=d&copy=1 #tag @user $5",
]
ENCODINGS = ["latin-1", "iso-8859-2", "mac-roman", "cp437"] + [f"sloppy-windows-{n}" for n in (1250, 1251, 1252, 1253, 1254, 1257)]
ODD = [chr(c) for c in [*range(1, 32), *range(0x7F, 0xA1), 0xAD, 0x300, 0x301, 0x323, 0x327, 0x489, 0x200B, 0x200C, 0x200D, 0x202E, 0x2028, 0x2029,
                        0x206A, 0x2581, 0x3000, 0xFE0F, 0xFEFF, 0xFFF9, 0xFFFC, 0xFFFD, 0x1680, 0x1F3FD, 0xE0067]]
GLUED = ["</s>", "<pad>", "<unk>", "<s>", "<extra_id_0>", "<extra_id_2>", "<extra_id_99>", "<0x41>", "\u2581", "\x1b[1m", "\r\n", "\n", "\t", "  ", "<b>", "\u00c3 ",
         "\u00e2\u20ac\u2122", "\u00e2\u20ac\ufffd", "\u00c0\x80", "\u00ed\xa0\u00bd\u00ed\u00b8\x80", "\u00ef\u00bf\u00bd", "\u00f0\u0178\u02dc\u20ac"]
BLOCKS = [(0x20, 0x7F), (0xA0, 0x250), (0x250, 0x530), (0x590, 0x700), (0x900, 0xE80), (0x1100, 0x1200), (0x1E00, 0x2C00), (0x3000, 0x3400), (0x4E00, 0xA000),
          (0xAC00, 0xD7A4), (0xF900, 0x10000), (0x1F000, 0x1FB00), (0x10000, 0x20000), (0xE000, 0x110000)]


def character(r):
    return r.choice(ODD) if r.random() < 0.2 else chr(r.randrange(*r.choice(BLOCKS)))


def misread(r, text):
    """UTF-8 read in another encoding, sometimes with the losses that come with it."""
    text = text.encode().decode(r.choice(ENCODINGS), "replace")
    if r.random() < 0.25:
        text = text.replace("\xa0", " ")
    return text.replace("\ufffd", "?") if r.random() < 0.15 else text


def entity(r):
    name = r.choice(sorted(html.entities.html5))
    n = r.choice([r.randrange(0x300), r.randrange(0x110100), 0, 13, 38, 59, 0x80, 0xD800])
    return r.choice([f"&{name}", f"&{name.rstrip(';')}x", f"&{name.upper()}", f"&#{n};", f"&#x{n:X}", f"&#{n}a;", "&amp;amp;", "&amp;lt;", "&nbsp;"])


def random_text(r):
    text = r.choice(SENTENCES) if r.random() < 0.7 else "".join(character(r) for _ in range(r.randrange(1, 20)))
    if r.random() < 0.4:
        start = r.randrange(len(text))
        text = text[start : start + r.randrange(3, 30)]
    for _ in range(r.choice([0, 0, 0, 1, 1, 2])):
        text = misread(r, text)
    for _ in range(r.choice([0, 1, 1, 2, 4])):
        i = r.randrange(len(text) + 1)
        piece = r.choice([character, entity, lambda r: r.choice(GLUED), lambda r: misread(r, character(r) + character(r)), lambda r: " "])(r)
        text = text[:i] + piece + text[i:]
    if r.random() < 0.02:
        text = " ".join([text] * r.randrange(2, 40))
    return text.replace("\0", "")


# ------------------------------------------------------------------------------------------------- tokenizers and cases


def added(content, **more):
    return dict(dict(content=content, lstrip=False, rstrip=False, normalized=False, single_word=False, special=True), **more)


def make_tokenizers():
    """small: as in the references, with tokenizer.json. full: spiece.model alone, the whole normaliser, 100 extra ids by default.
    added: spiece.model alone, tokens of all kinds."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in ("small", "full", "added"):
        make_reference.make_tokenizer(f"{FOLDER}/{name}", name == "full")
        if name != "small":
            os.remove(f"{FOLDER}/{name}/tokenizer.json")
            os.remove(f"{FOLDER}/{name}/special_tokens_map.json")
    common = dict(tokenizer_class="T5Tokenizer", model_max_length=512, eos_token="</s>", pad_token="<pad>", unk_token="<unk>")
    decoder = {0: added("<pad>"), 1: added("</s>", lstrip=True), 2: added("<s>", rstrip=True), 3: added("<unk>"), 514: added("<extra_id_0>"),
               513: added("<extra_id_1>", normalized=True), 515: added("cat", single_word=True), 516: added("\uff22ridge", normalized=True, special=False)}
    configs = dict(full=common, added=dict(common, extra_ids=3, bos_token="<s>", added_tokens_decoder=decoder, additional_special_tokens=["<extra_id_0>"]))
    for name, config in configs.items():
        with open(f"{FOLDER}/{name}/tokenizer_config.json", "w") as f:
            json.dump(config, f, indent=1)


def case(text, tokenizers):
    cleaned = prompt_clean(text)
    ids = lambda t: t(cleaned, max_length=TOKENS, truncation=True, add_special_tokens=True).input_ids
    return json.dumps(dict(text=text, cleaned=cleaned, ids={name: ids(t) for name, t in tokenizers.items()}))


def write_cases(path, texts, tokenizers):
    with open(path, "w") as f:
        for text in texts:
            f.write(case(text, tokenizers) + "\n")


def write_seeds():
    """Inputs of tests/fuzz/fuzz_tokenizer.c: its first byte says what the rest is."""
    os.makedirs(SEEDS, exist_ok=True)
    with open(f"{FOLDER}/small/spiece.model", "rb") as model, open(f"{SEEDS}/model-small", "wb") as f:
        f.write(b"M" + model.read())
    with open(f"{FOLDER}/small/tokenizer.json", "rb") as f:
        whole = json.load(f)
    whole["model"]["vocab"] = whole["model"]["vocab"][:40] + whole["model"]["vocab"][260:300]
    with open(f"{SEEDS}/json-small", "w") as f:
        f.write("J" + json.dumps(whole))
    for i, text in enumerate(FIXED[18:48]):
        with open(f"{SEEDS}/text-{i:02d}", "wb") as f:
            f.write(b"T" + text[:2000].encode())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", nargs="?", choices=("fixtures", "cases"), default="fixtures")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=250)
    p.add_argument("--out")
    p.add_argument("--tokenizer", action="append", default=[], metavar="NAME=FOLDER")
    a = p.parse_args()
    r = random.Random(a.seed)
    texts = [random_text(r) for _ in range(a.count)]
    if a.what == "cases":
        named = dict(t.split("=", 1) for t in a.tokenizer) or {n: f"{FOLDER}/{n}" for n in ("small", "full", "added")}
        write_cases(a.out, texts, {n: T5TokenizerFast.from_pretrained(f) for n, f in named.items()})
        return 0
    make_tokenizers()
    names = ("small", "full", "added")
    write_cases(f"{FOLDER}/cases.jsonl", FIXED + texts, {n: T5TokenizerFast.from_pretrained(f"{FOLDER}/{n}") for n in names})
    write_seeds()
    return 0


if __name__ == "__main__":
    sys.exit(main())
