"""Rendered training clips in one folder of flat files, made once and then only read (memory-mapped).

Clip i of n is scene i of a fixed sequence, drawn with seed i: the set is the same on every machine.
"""
import json
import os
from multiprocessing import Pool

import numpy as np

import world

SHAPE = (world.FRAMES, world.HEIGHT, world.WIDTH)


def scenes(count, seed=7):
    rng = np.random.default_rng(seed)
    return [world.random_scene(rng) for _ in range(count)]


def _fill(job):
    folder, count, part, parts = job
    clips, masks = _open(folder, count, "r+")
    for i, scene in enumerate(scenes(count)):
        if i % parts == part:
            clips[i], masks[i] = world.render(scene, i)


def _open(folder, count, mode):
    return (np.memmap(f"{folder}/clips.u8", np.uint8, mode, shape=(count, *SHAPE, 3)),
            np.memmap(f"{folder}/masks.u8", np.bool_, mode, shape=(count, *SHAPE)))


def load(folder, count, processes=2):
    """(clips [n,F,H,W,3], masks [n,F,H,W]); renders them first when the folder does not hold exactly this set."""
    done = f"{folder}/clips.json"
    if not os.path.exists(done) or json.load(open(done)) != {"count": count}:
        os.makedirs(folder, exist_ok=True)
        _open(folder, count, "w+")
        with Pool(processes) as pool:
            pool.map(_fill, [(folder, count, part, processes) for part in range(processes)])
        json.dump({"count": count}, open(done, "w"))
    return _open(folder, count, "r")


if __name__ == "__main__":
    import sys
    load(sys.argv[1], int(sys.argv[2]))
