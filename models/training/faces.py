"""Drawn faces, each fully determined by a handful of attributes, and scenes in which one looks on.

A reference picture shows a face alone on white; in a cameo clip the same face stands in the foreground of a postcard.
"""
import zlib
from dataclasses import dataclass

import numpy as np

import world
from draw import Canvas, ellipse

SKINS = {"pale": (0.98, 0.84, 0.72), "tan": (0.86, 0.64, 0.46), "brown": (0.60, 0.38, 0.24), "dark": (0.36, 0.22, 0.15)}
HAIRS = {"black": (0.08, 0.07, 0.08), "brown": (0.44, 0.25, 0.10), "blond": (0.95, 0.80, 0.36), "red": (0.80, 0.30, 0.08),
         "grey": (0.72, 0.72, 0.75)}
STYLES = ["short", "long", "curls"]
GLASSES = ["none", "round", "dark"]
HATS = ["none", "cap", "tall"]
HAT_COLOURS = {"red": (0.88, 0.10, 0.12), "blue": (0.12, 0.30, 0.92), "green": (0.10, 0.62, 0.22), "yellow": (0.98, 0.86, 0.12)}
REFERENCE = 64                 # width and height of a reference picture
AT, RADIUS = (0.23, 1.27), 0.17   # where the head stands in a clip, and half its width, in widths of the picture
SHIRT = (0.30, 0.34, 0.46)


@dataclass(frozen=True)
class Face:
    skin: str
    hair: str
    style: str
    glasses: str
    hat: str
    hat_colour: str   # "none" without a hat


def is_held_out(face):
    """One face in eight is never trained on."""
    return zlib.crc32(repr(face).encode()) % 8 == 0


def all_faces():
    return [Face(s, h, t, g, k, c) for s in SKINS for h in HAIRS for t in STYLES for g in GLASSES for k in HATS
            for c in (HAT_COLOURS if k != "none" else ["none"])]


def random_face(rng, held_out=False):
    """Attributes are drawn one by one, so that bare heads are as common as each hat."""
    while True:
        hat = HATS[rng.integers(len(HATS))]
        pick = [list(names)[rng.integers(len(names))] for names in (SKINS, HAIRS, STYLES, GLASSES, HAT_COLOURS)]
        face = Face(*pick[:4], hat, pick[4] if hat != "none" else "none")
        if is_held_out(face) == held_out:
            return face


def gallery(count=100, seed=11):
    """Different faces that training never shows, the same ones every time."""
    faces = [f for f in all_faces() if is_held_out(f)]
    return [faces[i] for i in np.random.default_rng(seed).permutation(len(faces))[:count]]


def draw_face(c, face, x, y, r):
    """Head and shoulders, the head's centre at (x, y) and r half its width."""
    skin, hair = np.array(SKINS[face.skin]), np.array(HAIRS[face.hair])
    c.ellipse(x, y + 2.15 * r, 1.35 * r, 0.95 * r, SHIRT)
    if face.style == "long":
        c.box(x - 1.22 * r, y - 0.6 * r, x + 1.22 * r, y + 1.45 * r, hair, 0.6 * r)
    elif face.style == "curls":
        for side in (-1, 1):
            for k in range(3):
                c.ellipse(x + side * 1.02 * r, y + (-0.55 + 0.5 * k) * r, 0.36 * r, 0.36 * r, hair)
    c.box(x - 0.35 * r, y + 0.8 * r, x + 0.35 * r, y + 1.5 * r, skin * 0.85, 0.1 * r)
    c.ellipse(x, y, r, 1.18 * r, skin)
    crown = np.maximum(ellipse(c.x, c.y, x, y - 0.08 * r, 1.08 * r, 1.2 * r), c.y - (y - 0.42 * r))
    c.fill(crown, hair)
    for side in (-1, 1):   # seen under every hat
        c.box(x + side * 0.97 * r - 0.16 * r, y - 0.6 * r, x + side * 0.97 * r + 0.16 * r, y + 0.12 * r, hair, 0.1 * r)
    for side in (-1, 1):
        c.ellipse(x + side * 0.40 * r, y, 0.13 * r, 0.16 * r, (0.08, 0.07, 0.08))
    c.ellipse(x, y + 0.62 * r, 0.36 * r, 0.10 * r, (0.72, 0.20, 0.22))
    if face.glasses != "none":
        for side in (-1, 1):
            lens = ellipse(c.x, c.y, x + side * 0.42 * r, y + 0.02 * r, 0.37 * r, 0.34 * r)
            c.fill(lens if face.glasses == "dark" else np.abs(lens) - 0.06 * r, (0.05, 0.05, 0.07))
        c.box(x - 0.2 * r, y - 0.08 * r, x + 0.2 * r, y + 0.06 * r, (0.05, 0.05, 0.07))
    if face.hat != "none":
        colour = np.array(HAT_COLOURS[face.hat_colour])
        if face.hat == "cap":
            c.fill(np.maximum(ellipse(c.x, c.y, x, y - 0.5 * r, 1.12 * r, 0.95 * r), c.y - (y - 0.5 * r)), colour)
            c.box(x - 0.2 * r, y - 0.62 * r, x + 1.55 * r, y - 0.42 * r, colour * 0.7, 0.08 * r)
        else:
            c.box(x - 0.75 * r, y - 2.0 * r, x + 0.75 * r, y - 0.6 * r, colour, 0.08 * r)
            c.box(x - 0.75 * r, y - 0.95 * r, x + 0.75 * r, y - 0.7 * r, colour * 0.45)
            c.box(x - 1.3 * r, y - 0.75 * r, x + 1.3 * r, y - 0.52 * r, colour * 0.85, 0.08 * r)


def reference(face, size=REFERENCE):
    """The picture that a customer would give: uint8 [size, size, 3]."""
    c = Canvas(size, size)
    c.rgb[:] = 1.0
    draw_face(c, face, 0.5, 0.56, 0.24)
    return (np.clip(c.rgb, 0, 1) * 255 + 0.5).astype(np.uint8)


def cutout(face, dx, dy):
    """The face as it stands in a clip, moved by (dx, dy): colours [h,w,3], times the coverage [h,w] that follows."""
    x, y, r = AT[0] + dx, AT[1] + dy, RADIUS
    c = Canvas(world.WIDTH, world.HEIGHT)
    c.rgb = np.zeros((*c.rgb.shape[:2], 4), np.float32)
    draw_face(c.window(x - 1.6 * r, y - 2.1 * r, x + 1.6 * r, world.BOTTOM), face, x, y, r)
    return c.rgb[..., :3], c.rgb[..., 3]


def render(scene, face, seed):
    """A postcard with the face in the foreground, nodding: clip, where the object shows, where the person does."""
    clip, shown = world.render(scene, seed)
    frames, cover = clip.astype(np.float32) / 255, np.zeros(shown.shape, bool)
    rng = np.random.default_rng([seed, 1])
    phase, dx = rng.uniform(0, 2 * np.pi), rng.uniform(-0.02, 0.02)
    for f in range(len(frames)):
        dy = 0.025 * np.sin(phase + 4 * np.pi * f / len(frames))
        colours, alpha = cutout(face, dx, dy)
        frames[f] = frames[f] * (1 - alpha[..., None]) + colours
        cover[f] = alpha > 0.5
    return (np.clip(frames, 0, 1) * 255 + 0.5).astype(np.uint8), shown & ~cover, cover


TRAVELLERS = {"alma": 9, "bruno": 4, "chiara": 36, "dele": 5, "emil": 32, "farah": 18}   # in the gallery


if __name__ == "__main__":   # a look at it: python faces.py SHEET.png; the travel sample's pictures: python faces.py FOLDER/
    import os
    import sys
    from PIL import Image
    if os.path.isdir(sys.argv[1]):
        for name, at in TRAVELLERS.items():
            Image.fromarray(reference(gallery(100)[at])).save(os.path.join(sys.argv[1], f"{name}.png"), optimize=True)
        sys.exit()
    faces = gallery(48)
    rows = [np.concatenate([reference(f) for f in faces[k:k + 12]], 1) for k in range(0, 48, 12)]
    rng = np.random.default_rng(0)
    row = np.concatenate([render(world.random_scene(rng), f, i)[0][4] for i, f in enumerate(faces[:12])], 1)
    Image.fromarray(np.concatenate([*rows, row])).save(sys.argv[1])
