#!/usr/bin/env python3
"""Writes the tables of HTML's character references that clean_tables.h declares, from what Python's html module knows. The build runs it.

    clean_entities.py FILE.c

The names in capitals that HTML does not have are ftfy 6.3.1's: each name in small letters also stands for the capital of what it means."""
import html
import html.entities
import sys


def c_text(text):
    """UTF-8 as a C string; each byte that is not plain ASCII is an octal escape, which cannot run into what follows."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode()) + '"'


def table(kind, name, rows):
    return (f"const {kind} clean_tables_{name}[] = {{\n" + "".join(f"    {{{row}}},\n" for row in rows) + "};\n"
            f"const size_t clean_tables_{name}_count = sizeof clean_tables_{name} / sizeof *clean_tables_{name};\n\n")


def texts(entities):
    return [f"{c_text(name)}, {c_text(text)}" for name, text in sorted(entities.items(), key=lambda e: e[0].encode())]


def ranges(codes):
    first = [c for c in sorted(codes) if c - 1 not in codes]
    return zip(first, (c for c in sorted(codes) if c + 1 not in codes))


def main(path):
    known = html.entities.html5
    capital = {name.upper(): text.upper() for name, text in known.items() if name.endswith(";") and name == name.lower()}
    capital = {name: text for name, text in capital.items() if html.unescape(f"&{name}") == f"&{name}"}
    replaced = sorted(html._invalid_charrefs.items())
    dropped = [c for c in html._invalid_codepoints if not 0xD800 <= c < 0xE000]  # surrogates are dropped elsewhere
    with open(path, "w") as out:
        out.write('#include "engine/text/clean_tables.h"\n\n')
        out.write(table("CleanEntity", "entity", texts(known)))
        out.write(table("CleanEntity", "capital_entity", texts(capital)))
        out.write(table("CleanNumber", "number", [f"0x{c:x}, 0x{ord(text):x}" for c, text in replaced]))
        out.write(table("CleanRange", "dropped", [f"0x{first:x}, 0x{last:x}, 1" for first, last in ranges(dropped)]))


if __name__ == "__main__":
    main(sys.argv[1])
