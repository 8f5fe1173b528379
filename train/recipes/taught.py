"""Labels that ImageNet lacks, and better ones for common things: linear heads on the backbone's features.

Three teachers (train/data/vocabulary/taught.csv): YOLOX-Nano's looks at Flickr8k's, Caltech-101's, COCO's and some of
MiniPlaces' training pictures (things, and how many people); MiniPlaces' scenes, with a 101st class for close-ups of
things; and the share of a photograph's captions that say a word. Of a name that the backbone knows too (`car`) both
logits add up (sight.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.special
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.lr_scheduler import OneCycleLR

from train.data import coco, miniplaces
from train.networks.lite import FEATURES
from train.recipes import features, ground_truth
from train.recipes.detector import THINGS, Looks, look
from train.recipes.features import Example, Features
from train.recipes.vocabulary import REVIEWED, read_table

COUNTS = (2, 3, 6)  # people at least, of `people`, `group of people`, `crowd`
MIN_PERSON = 0.4  # score of a counted person
LOOKED_AT = 4  # of so many of MiniPlaces' pictures the teacher looks at one
SAME_BIRDS = 3  # of so many of CUB's pictures one is a close-up
# The weight of a picture of each validation set. Tiny ImageNet's are 64 pixels wide, and CUB's are all birds.
JUDGED = {"flickr8k": 1.0, "coco": 1.0, "miniplaces": 1.0, "caltech-101": 1.0, "tiny-imagenet": 0.25, "cub": 0.125}
WRITTEN = ("flickr8k", "caltech-101", "tiny-imagenet", "cub")  # whose truth is of captions or classes
PHOTOGRAPHS = ("flickr8k", "caltech-101", "cub")  # of a library's kind
MIN_POSITIVES = 8  # pictures of a set that show a label, to compare two ways to score it
ANIMAL = "animal"  # the hypernym of what captions name if it is there
SURELY, SURELY_NOT = 0.5, 0.15  # the detector's scores


@dataclass(frozen=True, slots=True)
class Taught:
    """A row of taught.csv. source: a thing, a number of people, scenes, or words of captions, joined by |."""

    name: str
    teacher: str
    source: tuple[str, ...]
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TaughtHeads:
    """features @ weight + bias: logits of things and counts, scenes and close-up, words; columns: how many."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    columns: tuple[int, int, int]


def read() -> list[Taught]:
    """The rows of taught.csv."""
    return [
        Taught(r["label"], r["teacher"], tuple(r["source"].split("|")), tuple(filter(None, r["parents"].split(";"))))
        for r in read_table(REVIEWED / "taught.csv")
    ]


def list_pictures(data: str | Path, name: str, part: str) -> list[Example]:
    """As features.list_examples, and coco and miniplaces."""
    if name == coco.NAME:
        return [Example(path) for path in coco.photographs(data, part)]
    if name == miniplaces.NAME:
        return [Example(s.path, s.scene) for s in miniplaces.photographs(data, part)]
    return features.list_examples(data, name, part)


def count_people(looks: Looks) -> npt.NDArray[np.float32]:
    """The teacher's answers: each thing's best score and whether there are so many people, [N, 80 + len(COUNTS)]."""
    people = looks.count(THINGS.index("person"), MIN_PERSON)
    return np.concatenate([looks.best, np.stack([people >= n for n in COUNTS], 1)], 1).astype(np.float32)


def share_captions(examples: Sequence[Example], rows: Sequence[Taught]) -> npt.NDArray[np.float32]:
    """The share of each photograph's captions that say one of a label's words, [N, labels]."""
    patterns = [re.compile(rf"\b(?:{'|'.join(r.source)})\b", re.IGNORECASE) for r in rows]
    shares = [[np.mean([bool(p.search(c)) for c in e.captions]) for p in patterns] for e in examples]
    return np.array(shares, np.float32).reshape(len(examples), len(rows))


def fit_heads(
    pictures: dict[str, Features], answers: dict[str, npt.NDArray[np.float32]], scenes: npt.NDArray[np.int64],
    mean: Features, spread: Features, *, seed: int = 1, steps: int = 400, learning_rate: float = 1e-3, batch: int = 512,
) -> TaughtHeads:  # fmt: skip
    """pictures: features [N, F] of flickr8k, caltech-101, coco, miniplaces and cub.

    answers: the teacher's of flickr8k, caltech-101, coco and every LOOKED_AT-th of miniplaces; `captions`: of flickr8k.
    scenes [N]: MiniPlaces' classes. mean, spread [F]: for standardising.
    """
    torch.manual_seed(seed)
    x = {name: torch.from_numpy(((values - mean) / spread).astype(np.float32)) for name, values in pictures.items()}
    looked_at = {**x, "miniplaces": x["miniplaces"][::LOOKED_AT]}
    sets = ("flickr8k", "caltech-101", "coco", "miniplaces")
    things_x = torch.cat([looked_at[s] for s in sets])
    things_y = torch.cat([torch.from_numpy(answers[s]) for s in sets])
    close = torch.cat([x["caltech-101"], x["cub"]])
    kinds = int(scenes.max()) + 1
    scene_x = torch.cat([x["miniplaces"], close])
    scene_y = torch.cat([torch.from_numpy(scenes), torch.full((len(close),), kinds)])
    words_x, words_y = x["flickr8k"], torch.from_numpy(answers["captions"])
    columns = (things_y.shape[1], kinds + 1, words_y.shape[1])
    layer, drop = nn.Linear(len(mean), sum(columns)), nn.Dropout(0.5)
    nn.init.normal_(layer.weight, std=0.003)
    nn.init.constant_(layer.bias, -3.0)
    optimizer = torch.optim.AdamW(layer.parameters(), learning_rate, weight_decay=0.05)
    schedule = OneCycleLR(optimizer, learning_rate, steps, pct_start=0.1)

    def draw(inputs: Tensor, wanted: Tensor, part: int) -> tuple[Tensor, Tensor]:
        rows = torch.randint(len(inputs), (batch,))
        return layer(drop(inputs[rows])).split(columns, 1)[part], wanted[rows]

    for _ in range(steps):
        loss = 30 * F.binary_cross_entropy_with_logits(*draw(things_x, things_y, 0))
        loss = loss + F.cross_entropy(*draw(scene_x, scene_y, 1))
        loss = loss + 8 * F.binary_cross_entropy_with_logits(*draw(words_x, words_y, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        weight = layer.weight.T.numpy() / spread[:, None]
        return TaughtHeads(weight.astype(np.float32), (layer.bias.numpy() - mean @ weight).astype(np.float32), columns)


def find_spread(outputs: Features) -> Features:
    """What features [N, F] are divided by, [F]: the last map's share one spread, the pooled ones have their own."""
    spread = outputs.std(0) + 1e-3
    spread[:FEATURES] = outputs[:, :FEATURES].std(0).mean()
    return spread.astype(np.float32)


def combine(rows: Sequence[Taught], scenes: Sequence[str], captions: Sequence[Taught]) -> npt.NDArray[np.float32]:
    """Which outputs each label sums, [outputs, labels]: after the sigmoid, or for scenes after their softmax."""
    things, counts = {name: i for i, name in enumerate(THINGS)}, {str(n): i for i, n in enumerate(COUNTS)}
    first_scene = len(THINGS) + len(COUNTS)
    places = {name: first_scene + i for i, name in enumerate(scenes)}
    words = {row.name: first_scene + len(scenes) + 1 + i for i, row in enumerate(captions)}
    chosen = np.zeros((first_scene + len(scenes) + 1 + len(captions), len(rows)), np.float32)
    for column, row in enumerate(rows):
        for source in row.source if row.teacher != "captions" else (row.name,):
            place = {
                "things": things, "counts": {k: len(THINGS) + i for k, i in counts.items()},
                "scenes": places, "captions": words,
            }[row.teacher][source]  # fmt: skip
            chosen[place, column] = 1
    return chosen


def compute_chances(outputs: Features, heads: TaughtHeads) -> Features:
    """features [N, F] -> each output's chance, [N, outputs]."""
    logits = outputs @ heads.weight + heads.bias
    things, scenes, _ = heads.columns
    chances = scipy.special.expit(logits)
    chances[:, things : things + scenes] = scipy.special.softmax(logits[:, things : things + scenes], axis=1)
    return chances.astype(np.float32)


def look_at(data: str | Path, name: str, part: str, cache: Path) -> npt.NDArray[np.float32]:
    """The teacher's answers for a part of a set."""
    step = LOOKED_AT if name == miniplaces.NAME else 1
    return count_people(look([e.path for e in list_pictures(data, name, part)][::step], data, cache))


def find_excluded(
    examples: Sequence[Example], labels: Sequence[Taught], tables: ground_truth.Tables
) -> npt.NDArray[np.bool_]:
    """Things that captions or a class say are not there, [N, K].

    Captions leave out cars and chairs, but hardly an animal: where they name one, an animal that none of them names is
    absent. The detector takes many dogs for cats.
    """
    excluded = np.zeros((len(examples), len(labels)), bool)
    written = ground_truth.label_examples(examples, tables)
    for i, row in enumerate(labels):
        if row.teacher == "things":
            excluded[:, i] = written[:, tables.labels.index(row.name)] == 0
    animals = [i for i, row in enumerate(labels) if ANIMAL in tables.above[row.name]]
    for n, example in enumerate(examples):
        if example.captions:
            named = set().union(*(ground_truth.find_labels(caption, tables) for caption in example.captions))
            excluded[n] = False
            excluded[n, animals] = [ANIMAL in named and labels[i].name not in named for i in animals]
    return excluded


def correct(
    answers: npt.NDArray[np.float32], examples: Sequence[Example], labels: Sequence[Taught], tables: ground_truth.Tables
) -> npt.NDArray[np.float32]:
    """The teacher's answers [N, things + counts], overruled where captions or a class know better."""
    written, excluded = ground_truth.label_examples(examples, tables), find_excluded(examples, labels, tables)
    answers = answers.copy()
    for i, row in enumerate(labels):
        if row.teacher == "things":
            place = THINGS.index(row.source[0])
            answers[excluded[:, i], place] = 0
            answers[written[:, tables.labels.index(row.name)] == 1, place] = 1
    return answers


def judge(
    data: str | Path,
    name: str,
    labels: Sequence[Taught],
    tables: ground_truth.Tables,
    cache: Path,
    part: str = "validation",
) -> ground_truth.Truth:
    """Truth of taught labels on a part of a set, int8 [N, K] of 1, 0, -1 for unknown.

    Flickr8k: captions for words and for things that they name, the detector for other things and counts. COCO: the
    detector. MiniPlaces: scenes. Caltech-101, Tiny ImageNet, CUB: their classes; Caltech-101 shows no scene, since its
    pictures are close-ups.
    """
    examples = list_pictures(data, name, part)
    truth = np.full((len(examples), len(labels)), -1, np.int8)
    scenes = np.array([e.class_name for e in examples]) if name == miniplaces.NAME else None
    looks = look_at(data, name, part, cache) if name in ("flickr8k", coco.NAME) else None
    written = ground_truth.label_examples(examples, tables) if name in WRITTEN else None
    excluded = find_excluded(examples, labels, tables) if name in WRITTEN else None
    column = {label: i for i, label in enumerate(tables.labels)}
    for i, row in enumerate(labels):
        if row.teacher == "scenes":
            if scenes is not None:
                truth[:, i] = np.isin(scenes, row.source)
            elif name == "caltech-101":
                truth[:, i] = 0
        elif row.teacher == "captions":
            if name == "flickr8k":
                share = share_captions(examples, [row])[:, 0]
                truth[:, i] = np.where(share >= 0.4, 1, np.where(share > 0, -1, 0))
        elif looks is not None:
            best = looks[:, THINGS.index(row.source[0]) if row.teacher == "things" else
                         len(THINGS) + COUNTS.index(int(row.source[0]))]  # fmt: skip
            truth[:, i] = np.where(best > SURELY, 1, np.where(best < SURELY_NOT, 0, -1))
            if written is not None and excluded is not None and row.teacher == "things":
                truth[excluded[:, i], i] = 0
                truth[written[:, column[row.name]] == 1, i] = 1
        elif written is not None and row.teacher == "things":
            truth[:, i] = written[:, column[row.name]]
    return truth


def list_close_ups(data: str | Path) -> list[Example]:
    """Birds that fill their pictures, for the class that is no scene."""
    return features.list_examples(data, "cub", "train")[::SAME_BIRDS]
