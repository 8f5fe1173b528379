"""Which of the sight model's labels are true of a picture of a data set: 1 yes, 0 no, -1 nobody knows.

A set of one class a picture (Caltech-101, CUB, Tiny ImageNet) says yes for the class and all above it; nothing for
what lies below it (a picture of `bird` may be an ostrich), nor for what stands in the background of any photograph
(clothes, houses, trees); no for the rest. Flickr8k says yes where two of a photograph's five captions or more name a
label or a thing below it, else no: people seldom name a chair, so precision by captions is a lower bound.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from train.recipes.frozen import Seen
from train.recipes.labels import Label

CAPTIONS = 2  # so many must agree
LONGEST = 4  # words of a label in a caption
# In the background of photographs of something else, or a part of it; a set of one class says nothing of them.
BACKGROUND = (
    "clothing building furniture plant landscape shop roof fence box bag bottle tool toy screen lamp curtain "
    "weapon appliance sport book cabinet cosmetics computer"
).split()
# In captions these are most often something else: the colour, the verb, a tank top.
NOT_IN_CAPTIONS = frozenset(
    "fly flies orange oranges tank tanks iron safe swing swings stole rule seal punch wing wings stage pole poles "
    "paddle paddles hook knot nail screw face mask fan pan slide jean bar cup cups jay robin tick ray rays bow crane "
    "mouse bug bugs mini plane planes cab pad pads plate plates iris pick ram rams packet switch slot racer racers "
    "coil chest chime admiral monarch bull bulls calf calves boxer kite auto jet cycle cycles mike desk stretcher "
    "projector velvet wool cradle plane groom hill".split()
) - {"plane", "planes", "ram", "desk", "jet"}

# Caltech-101's classes -> the label that says most of them; None: of no label here, and so `no` to all but background.
CALTECH: dict[str, str | None] = {
    "airplanes": "airplane", "anchor": None, "bass": "fish", "binocular": "binoculars", "bonsai": "plant",
    "brain": None, "brontosaurus": "animal", "buddha": None, "car_side": "car", "ceiling_fan": None,
    "cellphone": "mobile phone", "chandelier": "lamp", "cougar_body": "cougar", "cougar_face": "cougar",
    "crocodile_head": "crocodile", "cup": None, "dollar_bill": None, "dolphin": "marine mammal", "emu": "bird",
    "euphonium": "brass instrument", "ewer": None, "Faces": None, "Faces_easy": None, "ferry": "watercraft",
    "flamingo_head": "flamingo", "garfield": None, "gerenuk": "antelope", "gramophone": None, "hawksbill": "turtle",
    "headphone": None, "hedgehog": "mammal", "helicopter": "aircraft", "ibis": "wading bird", "inline_skate": None,
    "joshua_tree": "plant", "kangaroo": "marsupial", "ketch": "sailboat", "Leopards": "leopard", "lotus": "flower",
    "mandolin": "stringed instrument", "mayfly": "insect", "menorah": None, "metronome": None, "minaret": "building",
    "Motorbikes": "motorcycle", "nautilus": "chambered nautilus", "octopus": "mollusc", "okapi": "mammal",
    "pagoda": "building", "panda": "giant panda", "pigeon": "bird", "pyramid": None, "rhino": "mammal",
    "scissors": None, "sea_horse": "fish", "snoopy": None, "stapler": None, "stegosaurus": "animal",
    "stop_sign": "street sign", "sunflower": "flower", "water_lilly": "flower", "wheelchair": None,
    "wild_cat": "feline", "windsor_chair": "chair", "wrench": "tool", "yin_yang": None,
}  # fmt: skip

Truth = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Tables:
    """labels.csv and synonyms.csv, ready to be asked. above: a label -> all above it, itself too."""

    labels: tuple[str, ...]
    above: Mapping[str, frozenset[str]]
    words: Mapping[str, str]
    in_captions: Mapping[str, str]
    wnids: Mapping[str, str]


def prepare(rows: Sequence[Label], synonyms: Mapping[str, str]) -> Tables:
    parents = {r.name: r.parents for r in rows}
    above: dict[str, frozenset[str]] = {}

    def climb(name: str) -> frozenset[str]:
        if name not in above:
            above[name] = frozenset({name}).union(*(climb(p) for p in parents[name]))
        return above[name]

    for name in parents:
        climb(name)
    words = {**synonyms, **{name: name for name in parents}}
    in_captions = {w: label for w, label in words.items() if w not in NOT_IN_CAPTIONS}
    wnids = {r.wnid: r.name for r in rows if r.index is not None}
    return Tables(tuple(parents), above, words, in_captions, wnids)


def judge(pictures: Sequence[Seen], tables: Tables) -> Truth:
    """int8 [N, L] of 1, 0, -1."""
    column = {name: i for i, name in enumerate(tables.labels)}
    behind = np.array([bool(tables.above[n] & set(BACKGROUND)) for n in tables.labels])
    truth = np.zeros((len(pictures), len(tables.labels)), np.int8)
    of_kind: dict[str, npt.NDArray[np.int8]] = {}
    for row, picture in enumerate(pictures):
        if picture.captions:
            for name in agreed(picture.captions, tables):
                truth[row, column[name]] = 1
            continue
        if picture.kind not in of_kind:
            of_kind[picture.kind] = _of_class(label_of(picture.kind, tables), tables, behind)
        truth[row] = of_kind[picture.kind]
    return truth


def label_of(kind: str, tables: Tables) -> str | None:
    """A set's own name of a class -> a label, or None. Raises KeyError where nobody has said."""
    if kind in tables.wnids:
        return tables.wnids[kind]
    return CALTECH[kind] if kind in CALTECH else tables.words[kind.lower().replace("_", " ")]


def agreed(captions: Iterable[str], tables: Tables) -> set[str]:
    """The labels that CAPTIONS of them or more name, or something below."""
    counts: dict[str, int] = {}
    for caption in captions:
        for name in named(caption, tables):
            counts[name] = counts.get(name, 0) + 1
    return {name for name, n in counts.items() if n >= CAPTIONS}


def named(text: str, tables: Tables) -> set[str]:
    """What one caption names, and all above that. The longest words win: a hot dog is no dog."""
    words = re.findall(r"[a-z0-9'-]+", text.lower())
    found: set[str] = set()
    i = 0
    while i < len(words):
        for n in range(min(LONGEST, len(words) - i), 0, -1):
            label = tables.in_captions.get(" ".join(words[i : i + n]))
            if label or n == 1:
                found |= tables.above[label] if label else frozenset()
                i += n
                break
    return found


def _of_class(label: str | None, tables: Tables, behind: npt.NDArray[np.bool_]) -> npt.NDArray[np.int8]:
    row = np.where(behind, -1, 0).astype(np.int8)
    for i, name in enumerate(tables.labels):
        if label is not None and name in tables.above[label]:
            row[i] = 1
        elif label is not None and label in tables.above[name]:
            row[i] = -1
    return row
