"""Builds the model's T5 tokenizer: one piece for every word of the caption grammar, characters for the rest.

A trained unigram model prunes rare words ("red" became three pieces), so the pieces are written down directly: words
get their log frequency, characters a much lower score. Characters outside Latin-1 become <unk>, because transformers'
T5 tokenizer knows no byte fallback.
"""
import collections
import io
import math
import os
import re
import sys

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as pb
from transformers import T5TokenizerFast

from captions import MEANING, WORDS, captions
from world import all_scenes

CHARACTERS = [chr(c) for c in (*range(33, 127), *range(0xC0, 0x180)) if c not in (0xD7, 0xF7)] + list("€–—„“”’…°§")


def word_counts():
    counts = collections.Counter(w for s in all_scenes() for c in captions(s) for w in re.findall(r"\w+", c))
    for words in (w for values in WORDS.values() for w in values.values()):
        for word in words.split():
            counts[word] += 50
    for word, n in list(counts.items()):
        counts.setdefault(word[0].upper() + word[1:], max(n // 20, 10))
    return counts


def build(folder):
    counts = word_counts()
    total = sum(counts.values())
    seed = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sorted(counts)), model_writer=seed, vocab_size=100, hard_vocab_limit=False,
        normalization_rule_name="identity", pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2)
    model = pb.ModelProto.FromString(seed.getvalue())
    del model.pieces[3:]
    for word, n in sorted(counts.items()):
        model.pieces.add(piece="\u2581" + word, score=math.log(n / total))
    for c in ("\u2581", *CHARACTERS):
        model.pieces.add(piece=c, score=-25.0)
    model.trainer_spec.vocab_size = len(model.pieces)
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/spiece.model", "wb") as f:
        f.write(model.SerializeToString())
    T5TokenizerFast.from_pretrained(folder, extra_ids=0).save_pretrained(folder)


def meanings(tokenizer):
    """For every piece, the attribute value it names or else its own lower case: words of one meaning share it."""
    pieces = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    return [MEANING.get(p.lstrip("\u2581").lower(), p.lower()) if p.startswith("\u2581") else p for p in pieces]


if __name__ == "__main__":
    folder = sys.argv[1]
    build(folder)
    fast = T5TokenizerFast.from_pretrained(folder)
    slow = sentencepiece.SentencePieceProcessor(model_file=f"{folder}/spiece.model")
    print(len(fast), "pieces")
    for text in ("a red ball rolls left behind a rock on the beach at sunset", "Noon in a city, an orange kite: Zebra.",
                 "Ein grünes Auto fährt nach links über der Wüste.", "caf\u00e9  double space \u65e5\u672c", ""):
        a, b = fast(text).input_ids, slow.encode(text) + [1]
        print("same" if a == b else "DIFFERENT", fast.convert_ids_to_tokens(a), "" if a == b else slow.encode(text, out_type=str))
