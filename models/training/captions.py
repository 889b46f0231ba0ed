"""The caption grammar in English and German: `captions` speaks it, `parse` understands it.

Training draws from `captions`; the measuring program knows a clip's prompt only through `parse`, which looks up the
words that name an attribute wherever they stand.
"""
import re
from functools import lru_cache

from world import ON_GROUND, OCCLUDERS, Scene

WORDS = {  # attribute value -> the words that name it, in both languages
    "place": {"beach": "beach Strand", "mountains": "mountains mountain Bergen Berge", "city": "city Stadt",
              "desert": "desert Wüste", "forest": "forest Wald"},
    "time": {"sunrise": "sunrise Sonnenaufgang", "noon": "noon midday Mittag mittags", "sunset": "sunset Sonnenuntergang",
             "night": "night Nacht nachts"},
    "object": {"ball": "ball Ball", "car": "car Auto", "plane": "plane Flugzeug", "balloon": "balloon Ballon",
               "kite": "kite Drachen"},
    "colour": {"red": "red roter rotes rote", "yellow": "yellow gelber gelbes gelbe", "green": "green grüner grünes grüne",
               "blue": "blue blauer blaues blaue", "purple": "purple lila violetter violettes violette",
               "white": "white weißer weißes weiße"},
    "motion": {"left": "left links", "right": "right rechts", "bounce": "bounces bouncing springt hüpft",
               "rise": "rises rising up steigt", "fall": "falls falling down sinks sinkt"},
    "occluder": {"rock": "rock Felsen", "pillar": "pillar Säule"},
}
MEANING = {w.lower(): (kind, value) for kind, values in WORDS.items() for value, words in values.items()
           for w in words.split()}

VERBS = {"ball": ("rolls", "rolling", "rollt"), "car": ("drives", "driving", "fährt"), "plane": ("flies", "flying", "fliegt"),
         "balloon": ("drifts", "drifting", "schwebt"), "kite": ("flies", "flying", "fliegt")}
UPWARD = {"rise": (("rises", "floats up"), "rising", "steigt"), "fall": (("falls", "sinks"), "falling", "sinkt"),
          "bounce": (("bounces", "bounces up and down"), "bouncing", "springt")}
IN_GERMAN = {"ball": "Ball", "car": "Auto", "plane": "Flugzeug", "balloon": "Ballon", "kite": "Drachen"}
STEM = {"red": "rot", "yellow": "gelb", "green": "grün", "blue": "blau", "purple": "violett", "white": "weiß"}
GERMAN_IN = {"beach": "am Strand", "mountains": "in den Bergen", "city": "in der Stadt", "desert": "in der Wüste",
             "forest": "im Wald"}
GERMAN_OVER = {"beach": "über dem Strand", "mountains": "über den Bergen", "city": "über der Stadt",
               "desert": "über der Wüste", "forest": "über dem Wald"}
GERMAN_FROM = {"beach": "vom Strand", "mountains": "aus den Bergen", "city": "aus der Stadt", "desert": "aus der Wüste",
               "forest": "aus dem Wald"}
GERMAN_TIME = {"sunrise": ("bei Sonnenaufgang",), "noon": ("am Mittag", "mittags"), "sunset": ("bei Sonnenuntergang",),
               "night": ("bei Nacht", "nachts")}


def english(s):
    sideways = s.motion in ("left", "right")
    verb, ing, _ = VERBS[s.object]
    does = [f"{verb} {s.motion}", f"{verb} to the {s.motion}"] if sideways else UPWARD[s.motion][0]
    doing = f"{ing} {s.motion}" if sideways else UPWARD[s.motion][1]
    behind = "" if s.occluder == "none" else f" behind a {s.occluder}"
    thing, when = f"a {s.colour} {s.object}", f"at {s.time}"
    the = f"the {s.place}"
    a = the if s.place == "mountains" else f"a {s.place}"
    near = "on" if s.place == "beach" else "in"
    where = [f"{near} {the}", f"{near} {a}"] + ([] if s.object in ON_GROUND else [f"over {the}"])
    for w in where:
        for d in does:
            yield f"{thing} {d}{behind} {w} {when}"
        yield f"{thing} {doing}{behind} {w} {when}"
    yield f"{when} {where[0]}, {thing} {does[0]}{behind}"
    yield f"a postcard from {the} {when}: {thing} {does[0]}{behind}"
    yield f"{the} {when}, {thing} {doing}{behind}"


def german(s):
    sideways = s.motion in ("left", "right")
    verb = VERBS[s.object][2] if sideways else UPWARD[s.motion][2]
    way = {"left": " nach links", "right": " nach rechts"}.get(s.motion, "")
    behind = {"none": "", "rock": " hinter einem Felsen", "pillar": " hinter einer Säule"}[s.occluder]
    ending = "es" if s.object in ("car", "plane") else "er"
    thing = f"ein {STEM[s.colour]}{ending} {IN_GERMAN[s.object]}"
    where = [GERMAN_IN[s.place]] + ([] if s.object in ON_GROUND else [GERMAN_OVER[s.place]])
    for when in GERMAN_TIME[s.time]:
        for w in where:
            yield f"{thing} {verb}{way}{behind} {w} {when}"
            yield f"{when} {verb} {thing}{way}{behind} {w}"
        yield f"eine Postkarte {GERMAN_FROM[s.place]} {when}: {thing} {verb}{way}{behind}"


def captions(s):
    return [*english(s), *german(s)]


@lru_cache(None)
def spoken(s, language):
    return tuple(language(s))


def random_caption(rng, s):
    """English twice as often as German; now and then written as a sentence."""
    choices = spoken(s, english if rng.random() < 0.65 else german)
    text = choices[rng.integers(len(choices))]
    if rng.random() < 0.2:
        text = text[0].upper() + text[1:] + "."
    return text


@lru_cache(None)
def leave_out(kind, text):
    """The caption without the words that name an attribute of this kind, "colour" for instance."""
    return " ".join(w for w in text.split() if MEANING.get(w.lower(), ("",))[0] != kind)


def parse(prompt):
    """The Scene that a prompt of this grammar describes; attributes it does not name are None ("none" for occluder)."""
    found = dict(place=None, time=None, object=None, colour=None, motion=None, occluder=OCCLUDERS[0])
    for word in re.findall(r"\w+", prompt.lower()):
        kind, value = MEANING.get(word, (None, None))
        if kind and found[kind] in (None, "none"):
            found[kind] = value
    return Scene(**found)


if __name__ == "__main__":
    from world import all_scenes
    wrong = [(s, c) for s in all_scenes() for c in captions(s) if parse(c) != s]
    print(len(wrong), "captions misunderstood", wrong[:3])
