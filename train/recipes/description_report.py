"""How well descriptions find photographs on the test parts, next to ConSE without the trained layer.

    python -m train description-report --data DIR

Writes docs/measured/sight/words.json: Flickr8k's test part, 5,000 captions to 1,000 photographs; class names as queries
over the test halves of Caltech-101 and Tiny ImageNet, with the classes of the lowest average precision. With --sheets
DIR, the first ten photographs of twenty everyday queries as contact sheets.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image, ImageDraw
from scipy.special import expit, logit

from train import figures, test_set_ledger
from train.atomic import write_json
from train.networks import heads
from train.recipes import features, ground_truth, sight, vocabulary, words
from train.recipes.features import Example, Features
from train.tool import TextModel, read_card

QUERIES = (
    "a dog running on the beach; children playing in a fountain; a man on a mountain bike; snow; sunset over water; "
    "people at a restaurant table; a football game; a boy in a swimming pool; a brown horse; skateboarding; "
    "a woman with an umbrella; two dogs fighting; a girl on a swing; rock climbing; a motorcycle race; "
    "someone surfing a wave; a crowd at night in the city; a baby eating; playing guitar; a red car"
).split("; ")
SETS = ("caltech-101", "tiny-imagenet")
LEDGER_NAME = "sight, by description"
WORST = 12  # classes in the report
TOP = 10  # photographs on a sheet


def write(data: Path, models: Path, sets: Sequence[str], to: Path, cache: Path, sheets: Path | None) -> None:
    """Measure the models of the folder `models` and write `to`/words.json, and contact sheets to `sheets`."""
    space = Space(models, cache)
    parts = ("flickr8k", *sets)
    evaluations = {name: test_set_ledger.record(models / "sight.onnx", LEDGER_NAME, name) for name in parts}
    result: dict[str, Any] = {"model": "sight", "on": "words", "tiles": 0, "evaluations": evaluations}
    photos = features.list_examples(data, "flickr8k", "test")
    vectors, conse = space.embed_photos(photos)
    result["flickr8k, test"] = measure_captions(space, photos, vectors, conse)
    print(json.dumps(result["flickr8k, test"]))
    if sheets:
        for i, (query, vector) in enumerate(zip(QUERIES, space.text.embed(QUERIES), strict=True)):
            first = np.argsort(-(vectors @ vector))[:TOP]
            draw_sheet([photos[j].path for j in first], sheets / f"{i:02}-{query.replace(' ', '-')}.jpg")
    tables = ground_truth.make_tables(*vocabulary.read(sight.TABLES))
    for name in sets:
        result[f"{name}, test"] = measure_class_names(space, features.list_examples(data, name, "test"), tables)
        print(json.dumps(result[f"{name}, test"]))
    write_json(to / "words.json", result)


class Space:
    """Both shipped models, and ConSE alone from the scores of the same pass."""

    def __init__(self, models: Path, cache: Path):
        path = models / "sight.onnx"
        self.model, self.card, self.cache = path.read_bytes(), read_card(path), cache
        self.text = TextModel(models / "sight-text.onnx")
        tensors = {t.name.removesuffix(".half"): t for t in onnx.load_from_string(self.model).graph.initializer}
        name = next(n for n in tensors if n.startswith("heads.") and n.endswith("names"))
        self.names = onnx.numpy_helper.to_array(tensors[name]).astype(np.float32)

    def embed_photos(self, examples: Sequence[Example]) -> tuple[Features, Features]:
        """-> the model's vectors [N, D], and ConSE's alone."""
        n, card = len(self.card.labels), self.card
        outputs = features.compute(self.model, examples, card.input_size, card.fit, self.cache, exact=True)
        return outputs[:, n:], self.compute_conse(outputs[:, :n])

    def compute_conse(self, scores: Features) -> Features:
        """ConSE from calibrated scores, whose calibration is inverted first."""
        classes = len(self.names)
        slope, shift = (np.array(self.card.details[k][:classes]) for k in ("slope", "shift"))
        limit = logit(heads.MIN_PROBABILITY)
        logits = (logit(np.clip(scores[:, :classes].astype(np.float64), 1e-12, 1 - 1e-7)) - shift) / slope
        weights = expit(np.clip(logits, limit, -limit)) ** 0.5
        cut = np.sort(weights, axis=1)[:, -heads.TOP][:, None]
        mixture = (weights * (weights >= cut)) @ self.names
        return (mixture / np.linalg.norm(mixture, axis=1, keepdims=True)).astype(np.float32)


def measure_captions(space: Space, photos: Sequence[Example], vectors: Features, conse: Features) -> dict[str, Any]:
    """Each caption as a query for its own photograph."""
    captions = space.text.embed([c for p in photos for c in p.captions])
    own = np.repeat(np.arange(len(photos)), [len(p.captions) for p in photos])
    return {
        "queries": len(own),
        "photos": len(photos),
        "sight": _round(figures.rank_photos(captions, vectors, own)),
        "ConSE alone": _round(figures.rank_photos(captions, conse, own)),
        "random": {f"recall_at_{k}": k / len(photos) for k in (1, 5, 10)},
    }


def measure_class_names(space: Space, photos: Sequence[Example], tables: ground_truth.Tables) -> dict[str, Any]:
    """Each class name as a query for the photographs of its class."""
    queries, kinds = words.list_class_queries(photos, tables)
    vectors, conse = space.embed_photos(photos)
    texts = space.text.embed(queries)
    precision = words.measure_average_precision(texts, vectors, kinds)
    order = np.argsort(precision)[:WORST]
    return {
        "queries": len(queries),
        "photos": len(photos),
        "map": round(float(precision.mean()), 4),
        "map of ConSE alone": round(float(words.measure_average_precision(texts, conse, kinds).mean()), 4),
        "lowest": {queries[i]: round(float(precision[i]), 3) for i in order},
    }


def _round(figures: dict[str, float]) -> dict[str, float]:
    return {k: round(v, 4) for k, v in figures.items()}


def draw_sheet(paths: Sequence[Path], to: Path, size: int = 160) -> None:
    """Photographs in two rows of five, numbered."""
    sheet = Image.new("RGB", (5 * size, 2 * size), "white")
    for i, path in enumerate(paths):
        with Image.open(path) as photo:
            sheet.paste(photo.convert("RGB").resize((size, size)), (i % 5 * size, i // 5 * size))
        ImageDraw.Draw(sheet).text((i % 5 * size + 4, i // 5 * size + 4), str(i + 1), fill="yellow")
    to.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(to, quality=85)
