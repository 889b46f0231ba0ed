"""Measures whether finished clips show what their prompts say. It sees only the pixels and the prompt.

    python measure.py --prompts 200 > prompts.csv                 prompts of combinations never trained (file,prompt,seed)
    python measure.py --variants 120 > prompts.csv                the same, ten prompts to a seed
    python measure.py prompts.csv --json out.json --sheet out.png measures the clips that the list names
    python measure.py --truth 200                                 the same on clips drawn by the world: the ruler's own error
    python measure.py --prompts 100 --faces DIR > DIR/prompts.csv prompts with a reference picture of a face for each, in DIR
    python measure.py --truth 100 --faces                         the ruler's own error on faces

A list has the columns file and prompt, perhaps reference, files relative to the list: a clip is an mp4 (read with the
ffmpeg command) or a folder of PNG frames. Place, time and occluder are the nearest drawn scenery; colour is voted by the pixels that move; the object
is the drawn shape that explains those pixels best; motion is the track of their centre. The face is that of 100, which
training never showed, whose drawing is nearest in the foreground; right is the one nearest to the reference picture.
"""
import argparse
import csv
import glob
import json
import os
import subprocess
import sys
from functools import lru_cache

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "training"))
import captions  # noqa: E402
import faces  # noqa: E402
import world  # noqa: E402
from world import FRAMES, HEIGHT, WIDTH  # noqa: E402

ATTRIBUTES = ["colour", "object", "place", "time", "motion", "permanence", "face"]


# ---------------------------------------------------------------- reading

def read_clip(path):
    """float32 [FRAMES, HEIGHT, WIDTH, 3] in 0..1, whatever the file's own size and rate."""
    if os.path.isdir(path):
        frames = [Image.open(f).convert("RGB").resize((WIDTH, HEIGHT), Image.BOX) for f in sorted(glob.glob(f"{path}/*.png"))]
        clip = np.stack([np.asarray(f) for f in frames])
    else:
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-vf", f"scale={WIDTH}:{HEIGHT}:flags=area", "-f", "rawvideo",
                              "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
        clip = np.frombuffer(raw, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)
    chosen = np.linspace(0, len(clip) - 1, FRAMES).round().astype(int)
    return clip[chosen].astype(np.float32) / 255


# ---------------------------------------------------------------- scenery

def coarse(picture):
    return picture.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 3).mean((1, 3))


@lru_cache(1)
def sceneries():
    """Every place, time and occluder with the skyline at five positions: keys, pictures, and the same in 4x4 blocks."""
    keys, pictures = [], []
    for place in world.PLACES:
        for when in world.TIMES:
            for occluder in world.OCCLUDERS:
                for shift in np.linspace(-0.05, 0.05, 5):
                    c = world.background(place, when, shift)
                    world.draw_occluder(c, world.Scene(place, when, "ball", "red", "left", occluder), 0.5)
                    keys.append((place, when, occluder))
                    pictures.append(c.rgb)
    return keys, pictures, np.stack([coarse(p) for p in pictures])


def find_scenery(clip):
    """The nearest (place, time, occluder) and the clip without its object."""
    still = np.median(clip, axis=0)
    keys, pictures, small = sceneries()
    best = np.abs(small - coarse(still)).mean((1, 2, 3)).argmin()
    covered = np.abs(still - pictures[best]).max(-1, keepdims=True) > 0.3   # the object rests there half the time
    return keys[best], np.where(covered, pictures[best], still)


# ---------------------------------------------------------------- what moves

def moving_mask(clip, still):
    mask = np.abs(clip - still).max(-1) > 0.16
    mask &= mask.mean(0) < 0.75                    # whatever always differs is scenery
    near = sum(np.roll(mask, d, a).astype(int) for d, a in ((1, 1), (-1, 1), (1, 2), (-1, 2)))
    return mask & (near >= 2)                      # no lone pixels


def colour_votes(pixels, weight):
    """Votes of the object's pixels, each for the colour whose hue and saturation are nearest."""
    value, low = pixels.max(-1), pixels.min(-1)
    lively = value > 0.45
    p, w = pixels[lively] / value[lively][:, None], weight[lively]
    names = list(world.COLOURS)
    pure = np.array([world.COLOURS[n] for n in names])
    pure = pure / pure.max(1, keepdims=True)
    nearest = np.square(p[:, None] - pure).sum(-1).argmin(1)
    return dict(zip(names, np.bincount(nearest, w, minlength=len(names))))


def object_colour(clip, still, mask):
    if mask.sum() < 30:
        return None
    weight = np.abs(clip - still).max(-1)[mask]
    votes = colour_votes(clip[mask], weight)
    return max(votes, key=votes.get) if sum(votes.values()) > 3 else None


def track(mask, least=25):
    """Centre (x, y) in every frame that shows enough of the object; NaN elsewhere."""
    points = np.full((len(mask), 2), np.nan)
    for f, m in enumerate(mask):
        ys, xs = np.nonzero(m)
        if len(xs) >= least:
            points[f] = (np.median(xs) + 0.5) / WIDTH, (np.median(ys) + 0.5) / WIDTH
    return points


def name_motion(points):
    p = points[~np.isnan(points[:, 0])]
    if len(p) < 6:
        return None
    dx, dy = p[-3:].mean(0) - p[:3].mean(0)
    if abs(dx) > 0.35:
        return "left" if dx < 0 else "right"
    if abs(dy) > 0.35:
        return "fall" if dy > 0 else "rise"
    return "bounce" if np.ptp(p[:, 1]) > 0.22 else None


def name_object(clip, still, mask, points, scene):
    """Draws each kind of object where something moves and lets the best explained frames vote."""
    size = mask.sum((1, 2))
    hidden = np.zeros((HEIGHT, WIDTH), bool)
    if scene["occluder"] != "none":
        here = world.Scene(scene["place"], scene["time"], "ball", "red", "left", scene["occluder"])
        bare = world.Canvas(WIDTH, HEIGHT)
        world.draw_occluder(bare, here, 0.5)
        hidden = bare.rgb.max(-1) > 0.08
    chosen = sorted(np.flatnonzero(size > 30), key=lambda f: -size[f])[:8:2]
    aside = (-0.1, -0.05, 0, 0.05, 0.1) if hidden.any() else (-0.05, 0, 0.05)
    cost = dict.fromkeys(world.OBJECTS, 0.0)
    for f in chosen:
        for kind in world.OBJECTS:
            cost[kind] += min(misfit(clip[f], still, hidden, kind, scene, *points[f], dx, dy)
                              for dx in aside for dy in (-0.1, -0.05, 0, 0.05, 0.1))
    return min(cost, key=cost.get) if len(chosen) else None


@lru_cache(1)
def blank():
    return world.Canvas(WIDTH, HEIGHT)


def misfit(frame, still, hidden, kind, scene, x, y, dx, dy):
    s = world.Scene(scene["place"], scene["time"], kind, scene["colour"], scene["motion"] or "right", "none")
    drawn = blank().copy()
    drawn.rgb[:] = still
    world.draw_object(drawn.window(x + dx - 0.22, y + dy - 0.24, x + dx + 0.22, y + dy + 0.4), s, x + dx, y + dy, 0)
    drawn.rgb[hidden] = still[hidden]
    top, bottom = (int(np.clip((y + d) * WIDTH, 0, HEIGHT)) for d in (-0.45, 0.5))
    left, right = (int(np.clip((x + d) * WIDTH, 0, WIDTH)) for d in (-0.4, 0.4))
    part = np.s_[top:bottom, left:right]
    return np.minimum(np.abs(drawn.rgb[part] - frame[part]).max(-1), 0.5).mean()


def reappears(clip, still, mask):
    """Seen, then (nearly) gone, then seen again with the same colour."""
    size = mask.sum((1, 2))
    first, middle, last = size[2:10], size[10:23], size[23:31]
    hidden = middle.min() < 0.3 * min(np.median(first), np.median(last))
    early, late = mask.copy(), mask.copy()
    early[12:], late[:21] = False, False
    before, after = object_colour(clip, still, early), object_colour(clip, still, late)
    return bool(hidden and before is not None and before == after)


# ---------------------------------------------------------------- faces

@lru_cache(1)
def gallery():
    """The faces to choose from, each as it stands in a clip at nine heights and places: colours and coverage, head only."""
    x, y, r = *faces.AT, faces.RADIUS
    part = np.s_[int((y - 2.1 * r) * WIDTH):int((y + 1.5 * r) * WIDTH), :int((x + 1.8 * r) * WIDTH)]
    drawn = [[faces.cutout(f, dx, dy) for dx in (-0.016, 0, 0.016) for dy in (-0.024, 0, 0.024)] for f in faces.gallery()]
    colours = np.stack([[c[part] for c, _ in places] for places in drawn]).astype(np.float32)
    cover = np.stack([[a[part] for _, a in places] for places in drawn]).astype(np.float32)[..., None]
    return part, colours, cover


def nearest_face(clip, still):
    """Which face of the gallery, drawn over the clip's scenery, explains the foreground best; None where none stands."""
    part, colours, cover = gallery()
    scenery = still[part]
    drawn = colours + (1 - cover) * scenery
    frames = clip[::6][:, part[0], part[1]]
    cost = np.stack([np.abs(drawn - f).mean((2, 3, 4)).min(1) for f in frames]).mean(0)
    empty = np.mean([np.abs(scenery - f).mean() for f in frames])
    return int(cost.argmin()) if cost.min() < 0.7 * empty else None


def named_face(picture):
    """Which face of the gallery a reference picture (a file) shows."""
    size = (faces.REFERENCE, faces.REFERENCE)
    given = np.asarray(Image.open(picture).convert("RGB").resize(size, Image.BOX), np.float32)
    return int(np.argmin([np.square(faces.reference(f) - given).mean() for f in faces.gallery()]))


# ---------------------------------------------------------------- verdicts

def look(clip):
    """What the clip shows."""
    (place, when, occluder), still = find_scenery(clip)
    mask = moving_mask(clip, still)
    points = track(mask)
    seen = {"place": place, "time": when, "occluder": occluder, "colour": object_colour(clip, still, mask),
            "motion": name_motion(points)}
    seen["object"] = name_object(clip, still, mask, points, seen) if seen["colour"] else None
    seen["reappears"] = reappears(clip, still, mask)
    calm = np.abs(clip - still).max(-1).max(0) < 0.16
    jump = np.abs(clip[2:] - 2 * clip[1:-1] + clip[:-2])[:, calm]
    seen["flicker"] = float(jump.mean() * 255) if calm.any() else 0.0
    return seen


def judge(seen, prompt, face=None):
    """Right or wrong for every attribute that the prompt names, and for the face if there is to be one."""
    wanted = captions.parse(prompt)
    right = {k: seen[k] == getattr(wanted, k) for k in ATTRIBUTES[:5] if getattr(wanted, k) is not None}
    if wanted.occluder != "none":
        right["permanence"] = seen["reappears"]
    if face is not None:
        right["face"] = seen["face"] == face
    return right


def summary(rows, clips):
    figures = {}
    for k in ATTRIBUTES:
        v = [r["right"][k] for r in rows if k in r["right"]]
        figures[k] = {"right": int(sum(v)), "of": len(v)}
    figures["everything"] = {"right": sum(all(v for k, v in r["right"].items() if k in ATTRIBUTES[:5]) for r in rows), "of": len(rows)}
    figures["flicker"] = round(float(np.mean([r["seen"]["flicker"] for r in rows])), 3)
    figures["distinctness"] = distinctness(rows, clips)
    return figures


def distinctness(rows, clips):
    """Distance of every clip to its nearest other clip of a different prompt: root mean square, 0..255."""
    flat = np.stack([np.stack([coarse(f) for f in c[::4]]).ravel() for c in clips])
    square = np.square(flat).sum(1)
    distance = np.sqrt(np.maximum(square[:, None] + square - 2 * flat @ flat.T, 0) / flat.shape[1]) * 255
    same = np.array([[a["prompt"] == b["prompt"] for b in rows] for a in rows])
    distance[same] = np.inf
    nearest = distance.min(1)
    nearest = nearest[np.isfinite(nearest)]
    return {"nearest_median": round(float(np.median(nearest)), 2), "nearest_min": round(float(nearest.min()), 2)} if len(nearest) else {}


def held_out(count, seen=False, seed=5):
    rng = np.random.default_rng(seed)
    scenes = [world.random_scene(rng, not seen) for _ in range(count)]
    return [(s, captions.random_caption(rng, s)) for s in scenes]


def show(figures):
    for k in ATTRIBUTES + ["everything"]:
        f = figures[k]
        if k == "face" and not f["of"]:
            continue
        print(f"{k:12} {f['right']:4}/{f['of']:<4} {100 * f['right'] / max(f['of'], 1):5.1f} %")
    print(f"flicker      {figures['flicker']} of 255; nearest other clip {figures['distinctness']}")


def print_list(args):
    """A list of held-out prompts, with reference pictures where faces are wanted."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["file", "prompt", "seed", *(["reference"] if args.faces else [])])
    for i, (_, text) in enumerate(held_out(args.prompts, args.seen)):
        row = [f"{i:03}.mp4", text, 1000 + i]
        if args.faces:
            row.append(f"face{i % 100:02}.png")
            Image.fromarray(faces.reference(faces.gallery()[i % 100])).save(os.path.join(args.faces, row[-1]))
        out.writerow(row)


def print_variants(count):
    """A list in which ten prompts share a seed: what shared first steps and caches are measured on."""
    rng = np.random.default_rng(11)
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["file", "prompt", "seed"])
    for i in range(count):
        out.writerow([f"{i:03}.mp4", captions.random_caption(rng, world.random_scene(rng, True)), 1000 + i // 10])


def drawn_jobs(args):
    """(name, prompt, clip, face) of clips that the world draws itself."""
    for i, (s, text) in enumerate(held_out(args.truth, args.seen)):
        face = i % 100 if args.faces else None
        clip = faces.render(s, faces.gallery()[face], i)[0] if args.faces else world.render(s, i)[0]
        yield f"drawn {i}", text, clip.astype(np.float32) / 255, face


def listed_jobs(path):
    """The same of the clips that a list names."""
    folder = os.path.dirname(path)
    for r in csv.DictReader(open(path)):
        face = named_face(os.path.join(folder, r["reference"])) if r.get("reference") else None
        yield r["file"], r["prompt"], read_clip(os.path.join(folder, r["file"])), face


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("list", nargs="?", help="CSV with the columns file and prompt, perhaps reference")
    p.add_argument("--prompts", type=int, metavar="N", help="print a list of N prompts and end")
    p.add_argument("--variants", type=int, metavar="N", help="the same, ten prompts to a seed")
    p.add_argument("--truth", type=int, metavar="N", help="measure N drawn clips instead")
    p.add_argument("--faces", nargs="?", const=".", metavar="DIR", help="with faces; a list's reference pictures go to DIR")
    p.add_argument("--seen", action="store_true", help="combinations that training shows")
    p.add_argument("--json", help="write figures and every clip's verdict here")
    p.add_argument("--sheet", help="write a contact sheet (PNG) here")
    args = p.parse_args()
    if args.prompts:
        print_list(args)
        return
    if args.variants:
        print_variants(args.variants)
        return
    if not args.truth and not args.list:
        p.error("a list, --prompts, --variants or --truth is needed")
    jobs = list(drawn_jobs(args) if args.truth else listed_jobs(args.list))
    rows = []
    for name, prompt, clip, face in jobs:
        seen = look(clip)
        if face is not None:
            seen["face"] = nearest_face(clip, find_scenery(clip)[1])
        rows.append({"file": name, "prompt": prompt, "seen": seen, "right": judge(seen, prompt, face)})
        wrong = [f"{k} {seen.get(k, '')}".strip() for k, ok in rows[-1]["right"].items() if not ok]
        if wrong:
            print(f"  {name}: {prompt}: {', '.join(wrong)}", file=sys.stderr)
    clips = [clip for _, _, clip, _ in jobs]
    figures = {"clips": len(rows), **summary(rows, clips)}
    show(figures)
    if args.json:
        json.dump({"figures": figures, "clips": rows}, open(args.json, "w"), indent=1)
    if args.sheet:
        sheet = [world.contact_sheet(clips[k::4], 4) for k in range(min(4, len(clips)))]
        tall = max(s.shape[0] for s in sheet)
        sheet = np.concatenate([np.pad(s, ((0, tall - s.shape[0]), (0, 0), (0, 0))) for s in sheet], 1)
        Image.fromarray((sheet * 255 + 0.5).astype(np.uint8)).save(args.sheet)


if __name__ == "__main__":
    main()
