#!/usr/bin/python3
"""simgrid_night.py - three small nights in SimGrid (Debian: python3-simgrid), written apart from coordinator/plan/night.c: actors that
send each other messages, with the farm's rules in Python. tests/unit/test_night.c holds the numbers that it prints. By hand:

    python3 tests/bench/simgrid_night.py
"""
import multiprocessing
import sys
import tempfile

from simgrid import Actor, Engine, Host, Mailbox, this_actor

MASTERS = 4  # that wait, for each worker (rules.h)
PLATFORM = """<?xml version='1.0'?><!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd"><platform version="4.1">
<cluster id="c" prefix="h" suffix="" radical="0-32" speed="1f" bw="1e15Bps" lat="0s"/></platform>"""


def worker(rank):
    box, home = Mailbox.by_name(f"worker {rank}"), Mailbox.by_name("coordinator")
    while True:
        lease = box.get()
        if lease is None:
            return
        this_actor.execute(lease[2])  # a flop takes a second
        home.put((rank, lease), 0)


def coordinator(night, out):
    both, renderers, finishers, clips, render_s, finish_s = night
    ranks = renderers + finishers
    home = Mailbox.by_name("coordinator")
    shots, waiting, left = list(range(len(clips))), [], list(clips)
    idle, working, ready, renders, asked = set(range(1, ranks + 1)), 0, 0, 0, None

    def give(rank, lease):
        Mailbox.by_name(f"worker {rank}").put(lease, 0)
        idle.discard(rank)

    while True:
        for rank in sorted(idle):
            renders_here, finishes_here = rank <= renderers, both or rank > renderers
            if waiting and finishes_here:
                shot, clip = waiting.pop(0)
                give(rank, ("finish", shot, finish_s(shot, clip)))
                working += 1
            elif shots and renders_here and (ready == 0 or ready + renders < MASTERS * ranks):
                shot = shots.pop(0)
                give(rank, ("render", shot, render_s(shot)))
                working, renders = working + 1, renders + 1
        if working == 0:
            break
        if asked is None:
            asked = home.get_async()
        asked[0].wait()
        news = [asked[1].get()]
        while True:  # what ends at the same moment is one round's
            asked = home.get_async()
            this_actor.sleep_for(1e-7)
            if not asked[0].test():
                break
            news.append(asked[1].get())
        for rank, (kind, shot, _) in sorted(news):
            working -= 1
            idle.add(rank)
            if kind == "render":
                renders, ready = renders - 1, ready + 1
                waiting += [(shot, clip) for clip in range(clips[shot])]
            else:
                left[shot] -= 1
                ready -= left[shot] == 0
    out.append(Engine.clock)
    for rank in range(1, ranks + 1):
        Mailbox.by_name(f"worker {rank}").put(None, 0)


def play(name, *night):
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as f:
        f.write(PLATFORM)
        f.flush()
        engine, out = Engine(["night", "--log=root.thresh:error"]), []
        engine.load_platform(f.name)
        for rank in range(1, night[1] + night[2] + 1):
            Actor.create(f"worker {rank}", Host.by_name(f"h{rank}"), worker, rank)
        Actor.create("coordinator", Host.by_name("h0"), coordinator, night, out)
        engine.run()
        print(f"{name}: {out[0]:.3f} s")
        sys.stdout.flush()


NIGHTS = {
    "both kinds": (True, 3, 0, [1 + i % 4 for i in range(11)], lambda s: 5 + s * 7 % 11, lambda s, c: 1 + (s + c) % 3),
    "renderers and finishers": (False, 3, 2, [1 + i % 5 for i in range(12)], lambda s: 7 + s % 2, lambda s, c: 2 + c % 3),
    "finishers that do not keep up": (False, 4, 1, [2] * 60, lambda s: 2 + s % 3, lambda s, c: 3 + c),
}

if __name__ == "__main__":
    for name, night in NIGHTS.items():  # an engine is a process's only one
        p = multiprocessing.Process(target=play, args=(name, *night))
        p.start()
        p.join()
