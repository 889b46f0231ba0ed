#!/usr/bin/env python3
"""search.py: looks for what is known of people in files and processes.

    search.py words WORDS PLACE...            every file and file name in the places: prints those that hold one of the words, as it is,
                                              in JSON, HTML, an URL, base64 or UTF-16
    search.py keep KEPT FILE...               notes pieces of these files' contents that tell them from any other
    search.py pieces KEPT PLACE...            prints the files that hold a piece that was noted
    search.py processes WORDS SECONDS PID...  watches these processes and their children: prints each whose command line or environment
                                              holds a word
WORDS is a file, a word a line."""
import base64, html, json, os, sys, time, urllib.parse

PIECE = 48


def forms(word):
    raw = word.encode()
    yield raw
    yield json.dumps(word)[1:-1].encode()
    yield html.escape(word).encode()
    yield urllib.parse.quote(word).encode()
    yield word.encode('utf-16-le')
    for shift in range(3):  # base64 of it at any place in a longer text
        text = base64.b64encode(b'\0' * shift + raw)
        yield text[4 if shift else 0:len(text) - 4]


def needles(file):
    words = [w for w in open(file, encoding='utf-8').read().split('\n') if w]
    return {f: w for w in words for f in forms(w) if len(f) >= 5}


def files(places):
    for place in places:
        if os.path.isfile(place):
            yield place
        for folder, inside, names in os.walk(place):
            for name in inside:
                yield os.path.join(folder, name)
            for name in names:
                yield os.path.join(folder, name)


def content(path):
    try:
        return open(path, 'rb').read() if os.path.isfile(path) and not os.path.islink(path) else b''
    except OSError:
        return b''


def search_words(words, places):
    found = needles(words)
    for path in files(places):
        text = os.fsencode(os.path.basename(path)) + b'\0' + content(path)
        hit = sorted({w for f, w in found.items() if f in text})
        if hit:
            print(path, hit)


def keep(kept, paths):
    with open(kept, 'wb') as out:
        for path in paths:
            data = content(path)
            for at in range(0, len(data) - PIECE, max(PIECE, len(data) // 400)):
                piece = data[at:at + PIECE]
                if len(set(piece)) > PIECE // 3:  # no padding, no table that every such file has
                    out.write(piece)


def search_pieces(kept, places):
    data = open(kept, 'rb').read()
    pieces = {data[i:i + PIECE] for i in range(0, len(data), PIECE)}
    for path in files(places):
        text = content(path)
        count = sum(p in text for p in pieces)
        if count:
            print(path, count)


def descendants(pid):
    yield pid
    try:
        for task in os.listdir(f'/proc/{pid}/task'):
            for child in open(f'/proc/{pid}/task/{task}/children').read().split():
                yield from descendants(int(child))
    except OSError:
        pass


def watch(words, seconds, pids):
    found, seen, end = needles(words), set(), time.time() + seconds
    while time.time() < end and any(os.path.exists(f'/proc/{p}') for p in pids):
        for pid in {d for p in pids for d in descendants(p)}:
            for what in 'cmdline', 'environ':
                text = content(f'/proc/{pid}/{what}') if os.path.exists(f'/proc/{pid}/{what}') else b''
                for word in {w for f, w in found.items() if f in text} - seen:
                    seen.add(word)
                    print(what, text.replace(b'\0', b' ')[:200], word)
        time.sleep(0.02)


verb, first, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
if verb == 'words':
    search_words(first, rest)
elif verb == 'keep':
    keep(first, rest)
elif verb == 'pieces':
    search_pieces(first, rest)
elif verb == 'processes':
    watch(first, float(rest[0]), [int(p) for p in rest[1:]])
