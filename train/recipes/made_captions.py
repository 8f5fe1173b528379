"""Captions made for pictures that nobody described: of the things that a teacher sees, of scenes and of classes.

"two people and a dog", "a photo of three zebras", "in a kitchen". They stand beside Flickr8k's real captions.
"""

import random
from collections.abc import Sequence

from train.recipes.detector import THINGS, Looks

MIN_SCORE = 0.35  # of a box that is named
MOST = 5  # things of a picture that may be named
PERSON = 3  # a person counts as so many times its area
OTHER_WORDS = {
    "person": ("person",), "cell phone": ("phone", "cell phone"), "tv": ("television", "tv"),
    "couch": ("sofa", "couch"),
    "potted plant": ("plant",), "dining table": ("table",), "motorcycle": ("motorbike", "motorcycle"),
    "bicycle": ("bike", "bicycle"), "airplane": ("plane", "airplane"),
}  # fmt: skip
PLURALS = {
    "person": "people", "sheep": "sheep", "knife": "knives", "bus": "buses", "sandwich": "sandwiches",
    "bench": "benches", "couch": "couches", "toothbrush": "toothbrushes", "wine glass": "wine glasses",
}  # fmt: skip
UNCOUNTED = frozenset({"broccoli", "skis", "scissors"})
NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five"}
SCENE_TEXTS = ("{name}", "{one}", "a photo of {one}", "in {one}", "a picture taken at the {name}")


def describe_looks(looks: Looks, per_picture: int, seed: int) -> tuple[list[int], list[str]]:
    """Pictures and a caption for each, so many of a picture on which the teacher sees anything."""
    rng, rows, captions = random.Random(seed), [], []
    for picture in range(len(looks.best)):
        boxes = looks.boxes[(looks.boxes[:, 0] == picture) & (looks.boxes[:, 2] > MIN_SCORE)]
        areas: dict[int, list[float]] = {}
        for _, thing, _, area in boxes.tolist():
            areas.setdefault(int(thing), []).append(area)
        for _ in range(per_picture if areas else 0):
            rows.append(picture)
            captions.append(describe_things(areas, rng))
    return rows, captions


def describe_things(areas: dict[int, list[float]], rng: random.Random) -> str:
    """areas: thing -> the areas of its boxes. One to three of the largest things, in words."""
    order = sorted(areas, key=lambda k: -max(areas[k]) * (PERSON if k == 0 else 1))[:MOST]
    chosen = sorted(rng.sample(range(len(order)), rng.randint(1, min(3, len(order)))))
    words = [name_many(THINGS[order[i]], len(areas[order[i]]), rng) for i in chosen]
    if len(words) == 1:
        return rng.choice(("{}", "a photo of {}", "a picture with {}")).format(words[0])
    if len(words) == 2:
        return f"{words[0]} {rng.choice(('and', 'with', 'next to'))} {words[1]}"
    return f"{words[0]}, {words[1]} and {words[2]}"


def name_many(thing: str, n: int, rng: random.Random) -> str:
    """a dog, two people, a group of cars."""
    word = rng.choice(OTHER_WORDS.get(thing, (thing,)))
    if word in UNCOUNTED:
        return word
    if n == 1:
        return add_article(word)
    many = PLURALS.get(word, f"{word}s")
    if n in NUMBERS:
        return f"{NUMBERS[n]} {many}"
    last = "a crowd of" if thing == "person" else "several"
    return f"{rng.choice(('a group of', 'many', last))} {many}"


def describe_scenes(names: Sequence[str]) -> list[str]:
    """SCENE_TEXTS of each scene, one scene after another."""
    return [text.format(name=name, one=add_article(name)) for name in names for text in SCENE_TEXTS]


def add_article(word: str) -> str:
    """an abbey, a kitchen."""
    return f"{'an' if word[0] in 'aeiou' else 'a'} {word}"
