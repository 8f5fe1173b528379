"""Precision and recall of the sight model's labels on the test parts, next to its backbone alone and to bird-photo.

    python -m train label-report --data DIR

Writes docs/measured/sight/SET.json for each set: a row for each everyday label with known truth (ground_truth.py); bird
by three networks (this one; the pretrained backbone in float32, the sum of its 59 bird classes, with a threshold by the
same rule; bird-photo); and the expected calibration error of bird and of all everyday labels together. The rows are
added to the model's card, and the test-set ledger counts the evaluation.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special

from train import figures, test_set_ledger
from train.atomic import write_json
from train.export import replace_card
from train.networks import heads
from train.recipes import features, ground_truth, sight, vocabulary
from train.recipes.features import Example
from train.tool import Card, Model, read_card

SETS = ("flickr8k", "caltech-101", "cub", "tiny-imagenet")
EVERYDAY = (
    "animal dog cat bird horse insect fish vehicle car truck bus train airplane boat bicycle motorcycle food flower "
    "building furniture chair clothing hat musical_instrument guitar sport ball beach mountain umbrella"
)
EVERYDAY_LABELS = [name.replace("_", " ") for name in EVERYDAY.split()]
MIN_POSITIVES = 5  # pictures that show a label, for a row
FIRST = 20  # photos of a search whose precision is reported
SEARCHES = ("dog", "car", "food", "boat", "flower")


def write(data: Path, model: Path, other: Path, sets: Sequence[str], to: Path, cache: Path) -> None:
    """Measure `model` on the test parts of `sets` and write its rows to the folder `to` and into its card."""
    scorer, rows, results = Scorer(model, data, cache), [], {}
    tables = ground_truth.make_tables(*vocabulary.read(sight.TABLES))
    threshold = scorer.choose_backbone_threshold(tables)
    for name in sets:
        evaluations = test_set_ledger.record(model, scorer.card.name, name)
        examples = features.list_examples(data, name, "test")
        truth, scores = ground_truth.label_examples(examples, tables), scorer.score(examples)
        result = evaluate(scorer.card, scores, truth, name)
        bird = scorer.card.labels.index("bird")
        birds = truth[:, bird] == 1
        backbone = figures.count(scorer.score_birds(examples), birds, threshold)
        result["bird_compared"] = [
            {"network": "sight", **figures.count(scores[:, bird], birds, scorer.card.threshold("bird"))},
            {"network": "EfficientNet-Lite2, pretrained", **backbone},
            scorer.compare(other, examples, birds, to.parent / f"bird-photo.{name}.json"),
        ]
        results[name] = {"evaluations": evaluations, **result}
        rows += [{"split": f"{name}, test", **row} for row in result["rows"]]
        print(name, json.dumps(result["bird_compared"]), result["expected_calibration_error"])
    replace_card(model, replace(scorer.card, measured=tuple(rows)))
    digest = Model(model, provider="cpu").digest
    for name, result in results.items():
        head = {"model": scorer.card.name, "version": scorer.card.version, "digest": digest, "on": name, "tiles": 0}
        write_json(to / f"{name}.json", {**head, **result})


class Scorer:
    """Scores of the model, of its backbone in float32, and of another model, cached on disk."""

    def __init__(self, model: Path, data: Path, cache: Path):
        self.model, self.card, self.data, self.cache = model.read_bytes(), read_card(model), data, cache
        used = self.card.details["settings"]
        self.plain = sight.SightSettings(backbone=used["backbone"], fit=used["fit"], int8=False)
        self.network = sight.build_backbone(self.plain, data, cache)
        self.weight, self.bias = sight.read_classifier(self.plain.backbone)
        self.birds = sorted(vocabulary.list_classes(vocabulary.read(sight.TABLES)[0])["bird"])

    def score(self, examples: Sequence[Example]) -> npt.NDArray[np.float32]:
        """-> [N, labels]."""
        return self._compute(self.model, self.card, examples)[:, : len(self.card.labels)]

    def _compute(self, model: bytes, card: Card, examples: Sequence[Example]) -> features.Features:
        return features.compute(model, examples, card.input_size, card.fit, self.cache, exact=True)

    def score_birds(self, examples: Sequence[Example]) -> npt.NDArray[np.float64]:
        """The backbone's probability of a bird, [N]."""
        outputs = sight.compute_features(self.network, examples, self.plain, self.cache)
        return sight.compute_probabilities(outputs, self.weight, self.bias)[:, self.birds].sum(1)

    def choose_backbone_threshold(self, tables: ground_truth.Tables) -> float:
        """By the rule of the labels: the highest F1 on the same validation parts with the same weights."""
        column, bins = tables.labels.index("bird"), np.zeros((2, len(sight.BINS)))
        for name, weight in self.plain.sets.items():
            examples = sight.list_validation(self.data, name)
            truth = ground_truth.label_examples(examples, tables)[:, column]
            epsilon = heads.MIN_PROBABILITY
            logits = scipy.special.logit(np.clip(self.score_birds(examples), epsilon, 1 - epsilon))
            bins += sight.count_bins(logits, truth, np.full(len(examples), weight))
        return sight.choose_threshold(bins)

    def compare(
        self, path: Path, examples: Sequence[Example], birds: npt.NDArray[np.bool_], measured: Path
    ) -> dict[str, Any]:
        """Another model's row: from `train evaluate` on the whole test part if it was measured, else by a run here."""
        if measured.exists():
            result = json.loads(measured.read_text(encoding="utf-8"))
            keys = ("threshold", "n", "tp", "fp", "fn", "tn", "precision", "recall", "average_precision")
            return {"network": f"{result['model']}, by train evaluate", **{k: result[k] for k in keys}}
        card = read_card(path)
        scores = self._compute(path.read_bytes(), card, examples)[:, 0]
        return {"network": card.name, **figures.count(scores, birds, card.threshold(card.labels[0]))}


def evaluate(card: Card, scores: npt.NDArray[Any], truth: ground_truth.Truth, name: str) -> dict[str, Any]:
    """Rows of the everyday labels, precision of the searches, calibration errors. Unknown truth is left out."""
    rows, pooled = [], []
    for label in EVERYDAY_LABELS:
        i = card.labels.index(label)
        known = truth[:, i] >= 0
        present, label_scores = truth[known, i] == 1, scores[known, i]
        if known.any() and not present.all():
            pooled.append((label_scores, present))
        if present.sum() >= MIN_POSITIVES and (not present.all() or label == "bird"):
            counts = figures.count(label_scores, present, card.threshold(label))
            rows.append({"label": label, **counts, "threshold": round(counts["threshold"], 5)})
    bird = card.labels.index("bird")
    errors = {"bird": figures.calibration_error(scores[:, bird], truth[:, bird] == 1)}
    if pooled:
        errors["everyday labels pooled"] = figures.calibration_error(*map(np.concatenate, zip(*pooled, strict=True)))
    return {
        **next((row for row in rows if row["label"] == "bird"), {}),
        "labels": len(rows),
        "macro": average_rows(rows),
        "micro": pool_rows(rows),
        "expected_calibration_error": {k: round(v, 4) for k, v in errors.items()},
        f"precision_at_{FIRST}": measure_searches(card, scores, truth) if name == "flickr8k" else None,
        "rows": rows,
    }


def average_rows(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The means over the labels where they are defined."""
    shares = {k: [r[k] for r in rows if r[k] is not None] for k in ("precision", "recall", "average_precision")}
    return {k: round(float(np.mean(v)), 4) for k, v in shares.items() if v}


def pool_rows(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Precision and recall of all labels' decisions together."""
    tp, fp, fn = (sum(r[k] for r in rows) for k in ("tp", "fp", "fn"))
    return {"precision": round(tp / max(1, tp + fp), 4), "recall": round(tp / max(1, tp + fn), 4)}


def measure_searches(card: Card, scores: npt.NDArray[Any], truth: ground_truth.Truth) -> dict[str, float]:
    """The share of each search's first photos that show the label."""
    columns = {label: card.labels.index(label) for label in SEARCHES}
    first = {label: np.argsort(-scores[:, j], kind="stable")[:FIRST] for label, j in columns.items()}
    return {label: round(float((truth[first[label], j] == 1).mean()), 4) for label, j in columns.items()}
