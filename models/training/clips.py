"""Drawn training clips in one folder of flat files, made once and then only read (memory-mapped).

Clip i of n is scene i of a fixed sequence, drawn with seed i: the set is the same on every machine. Every fourth clip's object
has a colour without a name (`Scene.colour` is then "#rrggbb"), so that an object's shape is learned apart from the colours
it is named with; none of these is near a colour that is kept from training with this object.
"""
import colorsys
import json
import os
from dataclasses import replace
from multiprocessing import Pool

import numpy as np

import faces
import world

SHAPE = (world.FRAMES, world.HEIGHT, world.WIDTH)


def nameless(scene, i):
    """The scene in some lively colour, whose nearest named colour may be trained with this object, place and time."""
    rng = np.random.default_rng([i, 5])
    while True:
        rgb = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.55, 1), rng.uniform(0.65, 1)))
        nearest = min(world.COLOURS, key=lambda n: np.square(np.divide(world.COLOURS[n], max(world.COLOURS[n])) - rgb / rgb.max()).sum())
        if not world.is_held_out(replace(scene, colour=nearest)):
            return replace(scene, colour="#" + bytes((rgb * 255).round().astype(np.uint8)).hex())


def scenes(count, seed=7):
    rng = np.random.default_rng(seed)
    drawn = [world.random_scene(rng) for _ in range(count)]
    return [nameless(s, i) if i % 4 == 3 else s for i, s in enumerate(drawn)]


def cast(count, seed=17):
    """The face that looks on in clip i of the clips with faces."""
    rng = np.random.default_rng(seed)
    return [faces.random_face(rng) for _ in range(count)]


def canvas(picture):
    """A reference as WanVACEPipeline fits it: in the middle of a white picture of the clip's size, as one frame."""
    whole = np.full((1, world.HEIGHT, world.WIDTH, 3), 255, np.uint8)
    top = (world.HEIGHT - picture.shape[0]) // 2
    whole[0, top:top + picture.shape[0]] = picture
    return whole


def _fill(job):
    folder, count, with_faces, part, parts = job
    clips, masks = _open(folder, count, "r+")
    looking_on = cast(count) if with_faces else None
    for i, scene in enumerate(scenes(count)):
        if i % parts == part:
            clips[i], masks[i] = faces.render(scene, looking_on[i], i)[::2] if with_faces else world.render(scene, i)


def _open(folder, count, mode):
    return (np.memmap(f"{folder}/clips.u8", np.uint8, mode, shape=(count, *SHAPE, 3)),
            np.memmap(f"{folder}/masks.u8", np.bool_, mode, shape=(count, *SHAPE)))


def load(folder, count, with_faces=False, processes=None):
    """(clips [n,F,H,W,3], masks [n,F,H,W] of the object, or of the person); draws them first when the folder does not hold
    exactly this set."""
    done, wanted = f"{folder}/clips.json", {"count": count, "with_faces": with_faces, "sequence": 2}
    if not os.path.exists(done) or json.load(open(done)) != wanted:
        os.makedirs(folder, exist_ok=True)
        _open(folder, count, "w+")
        parts = processes or os.cpu_count()
        with Pool(parts) as pool:
            pool.map(_fill, [(folder, count, with_faces, part, parts) for part in range(parts)])
        json.dump(wanted, open(done, "w"))
    return _open(folder, count, "r")


if __name__ == "__main__":   # clips.py FOLDER COUNT [faces]
    import sys
    load(sys.argv[1], int(sys.argv[2]), "faces" in sys.argv[3:])
