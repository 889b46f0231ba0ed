"""Trains the transformer and the text encoder together on cached latents, by flow matching.

    python train_dit.py --work WORK --steps 2600      resumes; with the state gone it starts from the WORK/model weights

The pipeline pads every prompt with zeros to 512 positions that cross-attention sees unmasked. Training keeps TOKENS
positions and adds log(how many pads each kept pad stands for) to their attention scores: the same function at a tenth of
the cost. That bias grows from "none" during the first steps, because 500 pads drown the words before the model has
learned to look past them.
"""
import argparse
import os
from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from diffusers import UniPCMultistepScheduler, WanTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanAttnProcessor
from transformers import T5TokenizerFast, UMT5Config, UMT5EncoderModel

import latents as data
from captions import leave_out, random_caption
from team import launch
from tokenizer import meanings
from trainer import Trainer, device, options, precision
from world import COLOURS, FRAMES, HEIGHT, OBJECTS, WIDTH

TEXT_LENGTH, TOKENS = 512, 24
TRANSFORMER = dict(patch_size=(1, 2, 2), num_attention_heads=4, attention_head_dim=48, in_channels=16, out_channels=16,
                   text_dim=128, freq_dim=128, ffn_dim=640, num_layers=6)
TEXT_ENCODER = dict(d_model=128, d_kv=32, d_ff=256, num_layers=2, num_heads=4, feed_forward_proj="gated-gelu",
                    relative_attention_num_buckets=32, relative_attention_max_distance=128, dropout_rate=0.0,
                    tie_word_embeddings=True, is_encoder_decoder=False, use_cache=False)
GRID = ((FRAMES - 1) // 4 + 1, HEIGHT // 16, WIDTH // 16)   # the transformer's tokens: frames, rows, columns
SHIFT = 3.0
SCHEDULER = dict(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT, num_train_timesteps=1000)


class PadAware(WanAttnProcessor):
    """Cross-attention with a bias on the keys, so that a few pads can stand for many."""
    bias = None

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, rotary_emb=None):
        if encoder_hidden_states is not None:
            attention_mask = PadAware.bias
        return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)


@lru_cache(None)
def pieces(tokenizer, text):
    return tokenizer(text, truncation=True, max_length=TOKENS).input_ids


def encode_text(encoder, tokenizer, texts, ramp=1.0):
    """Embeddings with zeroed pads, as the pipeline makes them, and the matching key bias [batch,1,1,TOKENS]."""
    ids = torch.zeros((len(texts), TOKENS), dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, used, text in zip(ids, mask, texts):
        found = pieces(tokenizer, text)
        row[:len(found)], used[:len(found)] = torch.tensor(found), 1
    ids, mask = ids.to(encoder.device), mask.to(encoder.device)
    out = encoder(ids, mask).last_hidden_state * mask[..., None]
    used = mask.sum(1, keepdim=True)
    stand_for = ((TEXT_LENGTH - used) / (TOKENS - used).clamp(min=1)).log()
    bias = torch.where(mask.bool(), 0.0, stand_for * ramp - 4.0 * (1 - ramp))
    return out, bias[:, None, None, :]


def build(folder, tokenizer):
    """The two networks: from the folder's weights when it has them, else fresh."""
    if os.path.exists(f"{folder}/transformer/config.json"):
        return torch.nn.ModuleDict({
            "transformer": WanTransformer3DModel.from_pretrained(f"{folder}/transformer").float(),
            "encoder": UMT5EncoderModel.from_pretrained(f"{folder}/text_encoder").float()}), True
    transformer = WanTransformer3DModel(**TRANSFORMER)
    encoder = UMT5EncoderModel(UMT5Config(vocab_size=len(tokenizer), **TEXT_ENCODER))
    torch.nn.init.zeros_(transformer.proj_out.weight)
    group = {m: i for i, m in enumerate(dict.fromkeys(meanings(tokenizer)))}
    vectors = torch.randn(len(group), encoder.config.d_model)
    with torch.no_grad():  # words of one meaning, in either language, start as one
        encoder.shared.weight.copy_(vectors[[group[m] for m in meanings(tokenizer)]])
    return torch.nn.ModuleDict({"transformer": transformer, "encoder": encoder}), False


class Hints(torch.nn.Module):
    """Linear readers of the transformer's inner states, for training only; the published model has none of them.

    Nothing but the rotary embedding says where in the clip a token stands, and without help that is learned last: objects
    then move as often the wrong way as the right one. One reader asks the states after an early block for the token's
    frame, row and column; another asks those after a late block whether the object shows there, and which.
    """
    EARLY, LATE = 1, 4   # read after these blocks

    def __init__(self, transformer):
        super().__init__()
        width = transformer.config.num_attention_heads * transformer.config.attention_head_dim
        self.place = torch.nn.Linear(width, sum(GRID))
        self.thing = torch.nn.Linear(width, 1 + len(OBJECTS) + len(COLOURS))
        self.states = {}
        for k in (self.EARLY, self.LATE):
            transformer.blocks[k].register_forward_hook(lambda _, __, out, k=k: self.states.__setitem__(k, out))

    def loss(self, share, kinds, colours):
        """Cross-entropies of place and thing; share [B,f,h,w] of latent cells, kinds and colours [B], -1 for a nameless one."""
        count = share.shape[0]
        cells = torch.cartesian_prod(*(torch.arange(n) for n in GRID)).to(share.device)
        read = self.place(self.states[self.EARLY]).split(GRID, -1)
        place = sum(F.cross_entropy(r.flatten(0, 1), cells[:, k].repeat(count)) for k, r in enumerate(read))
        shown = share.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).amax((3, 5)).flatten(1)
        here, kind, colour = self.thing(self.states[self.LATE]).split([1, len(OBJECTS), len(COLOURS)], -1)
        there = F.binary_cross_entropy_with_logits(here[..., 0], shown)
        what = sum((F.cross_entropy(r.transpose(1, 2), label[:, None].expand(shown.shape), reduction="none", ignore_index=-1) * shown).mean()
                   for r, label in ((kind, kinds), (colour, colours)))
        return place, there + what


def vague_caption(rng, scene, no_colour, no_object):
    """A caption that leaves out the colour or the object, each in its share of the cases: so that the colour's word does not
    come to stand for the shapes it was seen with, nor the object's for their colours. A nameless colour is never named."""
    if scene.colour not in COLOURS:
        return leave_out("colour", random_caption(rng, replace(scene, colour="white")))
    text, u = random_caption(rng, scene), rng.random()
    if u < no_colour:
        return leave_out("colour", text)
    return leave_out("object", text) if u < no_colour + no_object else text


def random_sigma(count):
    """Half uniform, half logit-normal, shifted towards noise as the sampler's steps are; spread evenly within a batch."""
    even = [(torch.arange(n) + torch.rand(n)) / n for n in (count - count // 2, count // 2)]
    t = torch.cat([even[0], torch.sigmoid(torch.special.ndtri(even[1].clamp(1e-4, 1 - 1e-4)))])
    return SHIFT * t / (1 + (SHIFT - 1) * t)


def noised(x0):
    """Latents on their way to noise, their timesteps, and the velocity that is to be learned there."""
    noise, sigma = torch.randn_like(x0), random_sigma(len(x0)).to(x0.device)
    s = sigma.view(-1, 1, 1, 1, 1)
    return (1 - s) * x0 + s * noise, sigma * 1000, noise - x0


def train(args, team):
    torch.manual_seed(0)
    folder = f"{args.work}/model"
    tokenizer = T5TokenizerFast.from_pretrained(f"{folder}/tokenizer")
    both, known = build(folder, tokenizer)
    both.to(device())
    hints = Hints(both.transformer).to(device())
    trained = dict(torch.nn.ModuleDict({**both, "hints": hints}).named_parameters())

    def publish():
        both.transformer.save_pretrained(f"{folder}/transformer")
        both.encoder.save_pretrained(f"{folder}/text_encoder")
        UniPCMultistepScheduler(**SCHEDULER).save_pretrained(f"{folder}/scheduler")
    course = Trainer(args, team, "dit", trained, publish, known=known)
    ramp_steps = 1 if course.facts["known"] else args.ramp
    latents, shown, scenes = data.load(args.work)
    latents, shown = latents.to(device()), shown.to(device())
    kinds = torch.tensor([OBJECTS.index(s.object) for s in scenes], device=device())
    colours = torch.tensor([list(COLOURS).index(s.colour) if s.colour in COLOURS else -1 for s in scenes], device=device())
    for block in both.transformer.blocks:
        block.attn2.set_processor(PadAware())
        if args.compile:
            block.forward = torch.compile(block.forward, dynamic=False)   # not block.compile(): the readers' hooks stay outside
    if team.chief:
        print({k: f"{sum(p.numel() for p in m.parameters()) / 1e6:.2f}M" for k, m in both.items()}, len(scenes), "clips", flush=True)
    rng = course.rng
    while course.running():
        pick = rng.integers(len(scenes), size=args.batch)
        texts = ["" if rng.random() < args.drop else vague_caption(rng, scenes[i], args.no_colour, args.no_object) for i in pick]
        pick = torch.from_numpy(pick).to(device())
        x0, share = latents[pick].float(), shown[pick].float()
        weight = 1 + args.emphasis * share[:, None]
        x, timestep, velocity = noised(x0)
        with precision():
            text, PadAware.bias = encode_text(both.encoder, tokenizer, texts, min(1, course.step / ramp_steps))
            v = both.transformer(x, timestep, text, return_dict=False)[0]
            place, thing = hints.loss(share, kinds[pick], colours[pick])
        error = (v.float() - velocity).square()
        loss = (error * weight).mean() / weight.mean()
        course.descend(loss + args.hint * (place + thing), {"loss": loss, "even": error.mean(), "place": place, "thing": thing})
    course.save()


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    options(p, steps=2600, lr=2e-3)
    p.add_argument("--batch", type=int, default=6, help="clips per process and step")
    p.add_argument("--compile", type=int, default=1, help="a quarter faster, after a minute or two")
    p.add_argument("--drop", type=float, default=0.1, help="share of captions left out, for guidance")
    p.add_argument("--no-colour", type=float, default=0.33, help="share of captions without the colour's word")
    p.add_argument("--no-object", type=float, default=0.2, help="share of captions without the object's word")
    p.add_argument("--emphasis", type=float, default=4.0, help="extra weight of the object in the loss")
    p.add_argument("--hint", type=float, default=0.1, help="weight of the readers of inner states")
    p.add_argument("--ramp", type=int, default=500)
    args = p.parse_args()
    launch(train, args, args.processes)
