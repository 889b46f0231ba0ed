"""The postcard world: four-second vertical clips, each fully determined by a handful of named attributes.

A Scene names place, time, object, colour, motion and what the object passes behind; a seed adds the small details
(where the skyline stands, where exactly the object moves). `render` draws it. Everything else is deterministic.
"""
import zlib
from dataclasses import dataclass

import numpy as np

from draw import Canvas, ellipse

WIDTH, HEIGHT, FRAMES, FPS = 64, 112, 33, 8
BOTTOM = HEIGHT / WIDTH
HORIZON = 0.98

PLACES = ["beach", "mountains", "city", "desert", "forest"]
TIMES = ["sunrise", "noon", "sunset", "night"]
COLOURS = {
    "red": (0.92, 0.08, 0.10), "yellow": (1.00, 0.90, 0.08), "green": (0.08, 0.72, 0.18),
    "blue": (0.08, 0.28, 0.98), "purple": (0.64, 0.14, 0.86), "white": (0.98, 0.98, 0.98),
}
MOTIONS = {
    "ball": ["left", "right", "bounce"], "car": ["left", "right"], "plane": ["left", "right"],
    "balloon": ["left", "right", "rise", "fall"], "kite": ["left", "right", "rise", "fall"],
}
OBJECTS = list(MOTIONS)
OCCLUDERS = ["none", "rock", "pillar"]
ON_GROUND = ("ball", "car")
HELD_OUT_PAIRS = {("ball", "blue"), ("car", "green"), ("balloon", "purple"), ("kite", "yellow"), ("plane", "red")}


@dataclass(frozen=True)
class Scene:
    place: str
    time: str
    object: str
    colour: str
    motion: str
    occluder: str = "none"


def is_valid(s):
    if s.motion not in MOTIONS[s.object]:
        return False
    if s.occluder == "rock":
        return s.object in ON_GROUND and s.motion in ("left", "right")
    return s.occluder == "none" or s.motion in ("left", "right")


def is_held_out(s):
    """True for object-colour pairs and for object-place-colour-time mixtures that training never shows."""
    key = f"{s.object}/{s.place}/{s.colour}/{s.time}".encode()
    return (s.object, s.colour) in HELD_OUT_PAIRS or zlib.crc32(key) % 8 == 0


def all_scenes():
    every = (Scene(p, t, o, c, m, k) for p in PLACES for t in TIMES for o in OBJECTS for c in COLOURS
             for m in MOTIONS[o] for k in OCCLUDERS)
    return [s for s in every if is_valid(s)]


def random_scene(rng, held_out=False):
    """Object, motion and occluder are drawn evenly, so a rare combination is seen as often as a common one."""
    while True:
        kind = OBJECTS[rng.integers(len(OBJECTS))]
        motion = MOTIONS[kind][rng.integers(len(MOTIONS[kind]))]
        occluder = OCCLUDERS[rng.integers(3)] if rng.random() < 0.75 else "none"
        colour = list(COLOURS)[rng.integers(len(COLOURS))]
        s = Scene(PLACES[rng.integers(len(PLACES))], TIMES[rng.integers(len(TIMES))], kind, colour, motion, occluder)
        if is_valid(s) and is_held_out(s) == held_out:
            return s


# ---------------------------------------------------------------- scenery

SKY = {  # zenith, horizon, light on the land
    "sunrise": ((0.46, 0.62, 0.92), (1.00, 0.80, 0.78), (1.00, 0.88, 0.90)),
    "noon": ((0.16, 0.47, 0.95), (0.70, 0.89, 1.00), (1.00, 1.00, 1.00)),
    "sunset": ((0.30, 0.14, 0.44), (1.00, 0.50, 0.22), (0.92, 0.62, 0.52)),
    "night": ((0.02, 0.03, 0.11), (0.12, 0.17, 0.38), (0.27, 0.31, 0.48)),
}
SUN = {  # x, y, radius, colour
    "sunrise": (0.24, 0.80, 0.10, (1.00, 0.95, 0.76)), "noon": (0.80, 0.22, 0.10, (1.00, 0.98, 0.82)),
    "sunset": (0.74, 0.80, 0.14, (1.00, 0.86, 0.38)), "night": (0.76, 0.26, 0.10, (0.95, 0.95, 0.86)),
}


def sky(c, when):
    zenith, horizon, _ = (np.array(v, np.float32) for v in SKY[when])
    ramp = np.clip(c.y / HORIZON, 0, 1)[..., None] ** 1.3
    c.rgb[:] = zenith * (1 - ramp) + horizon * ramp
    x, y, r, light = SUN[when]
    c.glow(x, y, 0.30, light, 0.25 if when == "night" else 0.55)
    c.ellipse(x, y, r, r, light)
    if when == "night":  # a crescent moon
        c.ellipse(x - 0.045, y - 0.02, r * 0.86, r * 0.86, zenith * 0.75 + horizon * 0.25 + 0.03)
    elif when == "noon":
        for cx, cy, w in ((0.26, 0.20, 0.17), (0.38, 0.24, 0.13)):
            c.ellipse(cx, cy, w, 0.055, (1.0, 1.0, 1.0), 0.8)


def beach(c, when, land, shift):
    c.box(-1, HORIZON, 2, 1.30, land((0.14, 0.48, 0.72)))
    c.blend(np.where((c.y > HORIZON) & (c.y < 1.30), 0.35 * (1.30 - c.y) / 0.32, 0), SKY[when][1])
    x, _, r, light = SUN[when]
    if when != "noon":  # the light's path over the water
        spread = r * (0.8 + 0.5 * np.sin(40 * c.y))
        path = np.clip(1.2 - np.abs(c.x - x) / spread, 0, 1) * ((c.y > HORIZON) & (c.y < 1.27))
        c.blend(0.6 * path, light)
    shore = 1.27 + 0.02 * np.sin(7 * c.x + 10 * shift)
    c.fill(shore - c.y, land((0.94, 0.97, 0.98)))
    c.fill(shore + 0.025 - c.y, land((0.94, 0.82, 0.58)))
    c.blend(np.clip((c.y - 1.40) / 0.5, 0, 1) * 0.3, land((0.80, 0.62, 0.38)))


def mountains(c, when, land, shift):
    for cx, top, half, snow in ((0.20 + shift, 0.50, 0.56, 0.17), (0.82 + shift, 0.63, 0.48, 0.13)):
        slope = (1.25 - top) / half
        c.polygon([(cx, top), (cx + half, 1.25), (cx - half, 1.25)], land((0.46, 0.46, 0.56)))
        c.polygon([(cx, top), (cx + half, 1.25), (cx, 1.25)], land((0.36, 0.36, 0.47)))
        c.polygon([(cx, top), (cx + snow / slope, top + snow), (cx - snow / slope, top + snow)], land((0.98, 0.98, 1.0)))
    c.fill(1.14 + 0.03 * np.sin(5 * c.x + 8 * shift) - c.y, land((0.42, 0.64, 0.30)))
    c.blend(np.clip((c.y - 1.2) / 0.6, 0, 1) * 0.4, land((0.24, 0.44, 0.20)))


def city(c, when, land, shift):
    lit = (1.00, 0.86, 0.45) if when in ("sunset", "night") else tuple(land((0.76, 0.88, 0.96)))
    for i, top in enumerate((0.66, 0.42, 0.74, 0.52, 0.70)):
        x0 = (i - 0.5) * 0.25 + shift
        c.box(x0, top, x0 + 0.22, 1.3, land(((0.40, 0.43, 0.54), (0.56, 0.52, 0.55))[i % 2]))
        for y in np.arange(top + 0.07, 1.08, 0.15):
            c.box(x0 + 0.05, y, x0 + 0.17, y + 0.07, lit)
    c.box(-1, 1.18, 2, 1.26, land((0.68, 0.68, 0.68)))
    c.box(-1, 1.24, 2, BOTTOM + 1, land((0.34, 0.34, 0.38)))
    for i in range(4):
        x0 = i * 0.32 - 0.1 + shift
        c.box(x0, 1.63, x0 + 0.16, 1.66, land((0.9, 0.9, 0.85)))


def desert(c, when, land, shift):
    c.fill(HORIZON + 0.02 + 0.09 * np.sin(4.2 * c.x + 9 * shift) - c.y, land((0.84, 0.58, 0.32)))
    c.fill(1.22 + 0.05 * np.sin(3.4 * c.x + 2 + 9 * shift) - c.y, land((0.95, 0.75, 0.45)))
    c.blend(np.clip((c.y - 1.35) / 0.5, 0, 1) * 0.35, land((0.80, 0.52, 0.28)))
    cx, green = 0.86 + shift, land((0.16, 0.44, 0.24))
    c.box(cx - 0.035, 0.78, cx + 0.035, 1.24, green, 0.03)
    for x0, y0, x1, y1 in ((-0.14, 0.90, -0.085, 1.06), (-0.14, 1.01, 0.0, 1.06), (0.085, 0.86, 0.14, 1.00),
                           (0.0, 0.95, 0.14, 1.00)):
        c.box(cx + x0, y0, cx + x1, y1, green, 0.025)


def forest(c, when, land, shift):
    c.fill(HORIZON - c.y, land((0.14, 0.32, 0.18)))
    for i in range(5):
        cx, top = (i - 0.1) * 0.26 + shift, (0.50, 0.68, 0.58)[i % 3]
        c.box(cx - 0.025, 1.1, cx + 0.025, 1.27, land((0.40, 0.26, 0.16)))
        for k in range(3):
            y = top + 0.18 * k
            c.polygon([(cx, y), (cx + 0.11 + 0.03 * k, y + 0.26), (cx - 0.11 - 0.03 * k, y + 0.26)],
                      land(((0.08, 0.36, 0.20), (0.13, 0.45, 0.22))[i % 2]))
    c.fill(1.24 + 0.015 * np.sin(6 * c.x + 9 * shift) - c.y, land((0.40, 0.54, 0.24)))
    c.blend(np.clip((c.y - 1.3) / 0.5, 0, 1) * 0.4, land((0.20, 0.34, 0.14)))


SCENERY = {"beach": beach, "mountains": mountains, "city": city, "desert": desert, "forest": forest}


def background(place, when, shift, width=WIDTH, height=HEIGHT):
    c = Canvas(width, height)
    light = np.array(SKY[when][2], np.float32)
    sky(c, when)
    SCENERY[place](c, when, lambda rgb: np.array(rgb, np.float32) * light, shift)
    return c


# ---------------------------------------------------------------- what moves, and what hides it

def pigment(colour):
    """Red, green and blue, 0..1, of a colour's name or of "#rrggbb"."""
    return COLOURS[colour] if colour in COLOURS else tuple(v / 255 for v in bytes.fromhex(colour[1:]))


def draw_object(c, s, x, y, travelled):
    rgb = np.array(pigment(s.colour), np.float32) * (0.88 if s.time == "night" else 1.0)
    dark, pale = rgb * 0.68, rgb * 0.6 + 0.4
    face = -1 if s.motion == "left" else 1
    if s.object == "ball":
        c.ellipse(x, y, 0.165, 0.165, rgb)
        turn = travelled / 0.165
        across = (c.x - x) * np.sin(turn) - (c.y - y) * np.cos(turn)
        c.fill(np.maximum(np.abs(across) - 0.035, ellipse(c.x, c.y, x, y, 0.165, 0.165)), dark)
        c.ellipse(x - 0.06, y - 0.07, 0.04, 0.035, pale, 0.7)
    elif s.object == "car":
        c.box(x - 0.11, y - 0.13, x + 0.11, y + 0.03, rgb, 0.06)
        c.box(x - 0.075, y - 0.095, x + 0.075, y - 0.02, (0.16, 0.22, 0.30), 0.02)
        c.box(x - 0.175, y - 0.03, x + 0.175, y + 0.10, rgb, 0.045)
        c.box(x + face * 0.15 - 0.02, y, x + face * 0.15 + 0.02, y + 0.035, (1.0, 0.95, 0.7))
        for wx in (-0.10, 0.10):
            c.ellipse(x + wx, y + 0.10, 0.055, 0.055, (0.08, 0.08, 0.10))
    elif s.object == "plane":
        c.polygon([(x - face * 0.19, y - 0.17), (x - face * 0.05, y), (x - face * 0.16, y + 0.03)][::face], dark)
        c.ellipse(x, y, 0.20, 0.085, rgb)
        c.polygon([(x - face * 0.04, y + 0.01), (x + face * 0.07, y + 0.01), (x - face * 0.07, y + 0.17),
                   (x - face * 0.14, y + 0.17)][::face], dark)
        c.ellipse(x + face * 0.11, y - 0.025, 0.045, 0.03, (0.16, 0.22, 0.30))
    elif s.object == "balloon":
        c.box(x - 0.045, y + 0.20, x + 0.045, y + 0.27, (0.45, 0.28, 0.14), 0.01)
        c.polygon([(x - 0.13, y + 0.08), (x + 0.13, y + 0.08), (x + 0.035, y + 0.20), (x - 0.035, y + 0.20)], dark)
        c.ellipse(x, y, 0.165, 0.165, rgb)
        c.ellipse(x, y, 0.06, 0.165, dark)
        c.ellipse(x - 0.09, y - 0.07, 0.03, 0.045, pale, 0.6)
    else:
        for k in range(3):
            c.ellipse(x + 0.02 * (-1) ** k, y + 0.25 + 0.055 * k, 0.022, 0.02, dark)
        c.polygon([(x, y - 0.21), (x + 0.155, y), (x, y + 0.21), (x - 0.155, y)], rgb)
        c.polygon([(x, y - 0.21), (x + 0.155, y), (x, y)], dark)
        c.polygon([(x, y), (x, y + 0.21), (x - 0.155, y)], dark)


def draw_occluder(c, s, x):
    light = np.array(SKY[s.time][2], np.float32)
    if s.occluder == "pillar":
        c.shadow(x + 0.05, 1.66, 0.28, 0.05, 0.4)
        c.box(x - 0.20, 0.20, x + 0.20, 1.66, np.array((0.62, 0.57, 0.50)) * light)
        c.box(x - 0.20, 0.20, x - 0.10, 1.66, np.array((0.76, 0.71, 0.63)) * light)
        c.box(x - 0.23, 0.14, x + 0.23, 0.24, np.array((0.52, 0.47, 0.42)) * light, 0.02)
        c.box(x - 0.23, 1.58, x + 0.23, 1.68, np.array((0.52, 0.47, 0.42)) * light, 0.02)
    elif s.occluder == "rock":
        c.shadow(x + 0.04, 1.66, 0.30, 0.07, 0.4)
        hill = np.maximum(ellipse(c.x, c.y, x, 1.52, 0.24, 0.40), c.y - 1.66)
        c.fill(hill, np.array((0.42, 0.39, 0.38)) * light)
        c.fill(np.maximum(ellipse(c.x, c.y, x - 0.05, 1.42, 0.13, 0.24), hill), np.array((0.54, 0.50, 0.48)) * light)


REST = {"ball": 1.42, "car": 1.44, "plane": 0.46, "balloon": 0.55, "kite": 0.52}   # height of the centre


def path(s, rng, frames):
    """Centre of the object in every frame, as two arrays; the details are a few pixels of freedom."""
    u = np.linspace(0, 1, frames)
    dx, dy = rng.uniform(-0.03, 0.03), rng.uniform(-0.03, 0.03)
    rest = REST[s.object]
    if s.motion in ("left", "right"):
        x = 0.08 + 0.84 * u + dx
        x = 1 - x if s.motion == "left" else x
        y = rest + (0 * u if s.object in ON_GROUND else dy + 0.03 * np.sin(2 * np.pi * u))
    elif s.motion == "bounce":
        x, y = 0.5 + 2 * dx + 0 * u, rest - 0.42 * np.abs(np.sin(2 * np.pi * u + 0.5 + 3 * dy))
    else:
        v = u if s.motion == "fall" else 1 - u
        x, y = 0.5 + 2 * dx + 0.03 * np.sin(2 * np.pi * u), 0.34 + 0.86 * v + dy
    return x, y


def render(s, seed, width=WIDTH, height=HEIGHT, frames=FRAMES):
    """The clip as uint8 [frames, height, width, 3], and where its object shows, as bool [frames, height, width]."""
    rng = np.random.default_rng([seed, zlib.crc32(repr(s).encode())])
    still = background(s.place, s.time, rng.uniform(-0.05, 0.05), width, height)
    xs, ys = path(s, rng, frames)
    hide_x = 0.5 + rng.uniform(-0.02, 0.02)
    bare = still.copy()
    draw_occluder(bare, s, hide_x)
    clip = np.empty((frames, height, width, 3), np.float32)
    shown = np.empty((frames, height, width), bool)
    for f in range(frames):
        c = still.copy()
        above = 1.60 - ys[f]
        c.window(xs[f] - 0.25, 1.5, xs[f] + 0.25, 1.7).shadow(xs[f], 1.59, 0.17, 0.04, 0.45 / (1 + 2 * max(above - 0.2, 0)))
        draw_object(c.window(xs[f] - 0.22, ys[f] - 0.24, xs[f] + 0.22, ys[f] + 0.40), s, xs[f], ys[f], xs[f] - xs[0])
        if s.occluder != "none":
            draw_occluder(c.window(hide_x - 0.4, 0.1, hide_x + 0.4, BOTTOM), s, hide_x)
        clip[f] = c.rgb
        shown[f] = np.abs(c.rgb - bare.rgb).max(-1) > 0.12
    return (np.clip(clip, 0, 1) * 255 + 0.5).astype(np.uint8), shown


def contact_sheet(clips, every=4, pad=2):
    """Rows of clips, columns of frames, as one uint8 image."""
    rows = [np.concatenate([np.pad(f, ((0, pad), (0, pad), (0, 0))) for f in clip[::every]], 1) for clip in clips]
    return np.concatenate(rows, 0)
