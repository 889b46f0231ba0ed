#!/usr/bin/env python3
"""make_bed.py OUT.wav - the sample campaign's music: eight seconds of plucked chords over a soft pad, made from sines, so that it is nobody's
(CC0). Its end runs into its beginning: a clip of any length can repeat it.

    tools/make_bed.py bed.wav && ffmpeg -i bed.wav -c:a flac -compression_level 12 configs/campaigns/music/bed.flac
"""
import math
import struct
import sys
import wave

RATE, SECONDS = 22050, 8
COUNT = RATE * SECONDS
CHORDS = [(220.00, 261.63, 329.63), (174.61, 220.00, 261.63), (261.63, 329.63, 392.00), (196.00, 246.94, 293.66)]  # Am F C G


def add_note(to, at, hz, seconds, level, decay):
    for i in range(int(seconds * RATE)):
        t = i / RATE
        swell = min(1, t / 0.004) * math.exp(-decay * t) * min(1, (seconds - t) / 0.02)
        tone = math.sin(2 * math.pi * hz * t) + 0.35 * math.sin(4 * math.pi * hz * t) * math.exp(-4 * t)
        to[(at + i) % COUNT] += level * swell * tone


def add_pad(to, at, hz, seconds, level):
    for i in range(int(seconds * RATE)):
        t = i / RATE
        swell = min(1, t / 0.6, (seconds - t) / 0.6)
        to[(at + i) % COUNT] += level * swell * math.sin(2 * math.pi * hz * t + 0.3 * math.sin(2 * math.pi * 4.5 * t))


def main():
    bed = [0.0] * COUNT
    for bar, chord in enumerate(CHORDS):
        start = bar * 2 * RATE
        for hz in chord:
            add_pad(bed, start, hz / 2, 2.6, 0.05)
        for step in range(8):
            hz = chord[(0, 1, 2, 1, 2, 0, 1, 2)[step]] * (2 if step in (2, 6) else 1)
            add_note(bed, start + int(step * 0.25 * RATE), hz, 0.9, 0.16, 5)
        add_note(bed, start, chord[0] / 2, 1.6, 0.22, 2)
    most = max(abs(x) for x in bed)
    with wave.open(sys.argv[1], "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(b"".join(struct.pack("<h", round(x / most * 22000)) for x in bed))


main()
