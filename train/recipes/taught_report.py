"""Precision and recall of taught labels on test parts: people, scenes, words and things.

    python -m train taught-report --data DIR

Writes docs/measured/sight/taught.json. Flickr8k's test part: people and words by captions (two of five name it), things
and counts by the detector, whose own errors count as the heads'. MiniPlaces: a half of its validation pictures, unseen
in training and in calibration; P@20 is the precision of a scene's first 20 of 4,500 photographs, 45 of which show it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train import figures, test_set_ledger
from train.atomic import write_json
from train.data import miniplaces
from train.recipes import features, ground_truth, sight, taught, vocabulary
from train.recipes.taught import Taught
from train.tool import Card, read_card

FIRST = 20  # photos of a search
MIN_POSITIVES = 5
LEDGER_NAME = "sight, taught labels"
BY_NAME = "person people man woman child snow water street kitchen mountain bedroom office restaurant beach".split()


def write(data: Path, model: Path, to: Path, cache: Path) -> None:
    """Measure `model` and write `to`/taught.json."""
    card, labels = read_card(model), taught.read()
    tables = ground_truth.make_tables(*vocabulary.read(sight.TABLES))
    result: dict[str, Any] = {"model": card.name, "version": card.version}
    for name in ("flickr8k", miniplaces.NAME):
        result[f"{name}, evaluations"] = test_set_ledger.record(model, LEDGER_NAME, name)
        examples = taught.list_pictures(data, name, "test")
        outputs = features.compute(model.read_bytes(), examples, card.input_size, card.fit, cache, exact=True)
        truth = taught.judge(data, name, labels, tables, cache, part="test")
        rows = [measure(card, label, outputs, truth[:, i]) for i, label in enumerate(labels)]
        result[name] = summarise([row for row in rows if row is not None])
        print(name, json.dumps({k: v for k, v in result[name].items() if k != "rows"}))
        for row in result[name]["rows"]:
            if row["label"] in BY_NAME:
                print(json.dumps(row))
    write_json(to / "taught.json", result)


def measure(
    card: Card, label: Taught, outputs: features.Features, truth: npt.NDArray[np.int8]
) -> dict[str, Any] | None:
    """A label's row; None with too few pictures that show it."""
    known = truth >= 0
    present, scores = truth[known] == 1, outputs[known, card.labels.index(label.name)]
    if present.sum() < MIN_POSITIVES or present.all():
        return None
    first = present[np.argsort(-scores, kind="stable")[:FIRST]]
    counts = figures.count(scores, present, card.threshold(label.name))
    return {
        "label": label.name, "teacher": label.teacher, **counts, "threshold": round(counts["threshold"], 5),
        "precision_at_20": round(float(first.mean()), 4),
        "expected_calibration_error": round(figures.calibration_error(scores, present), 4),
    }  # fmt: skip


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means by teacher, and the rows."""
    keys = ("precision", "recall", "average_precision", "precision_at_20", "expected_calibration_error")
    means: dict[str, Any] = {}
    for teacher in dict.fromkeys(row["teacher"] for row in rows):
        own = [row for row in rows if row["teacher"] == teacher]
        values = {key: [row[key] for row in own if row[key] is not None] for key in keys}
        means[teacher] = {"labels": len(own), **{k: round(float(np.mean(v)), 4) for k, v in values.items() if v}}
    return {**means, "rows": list(rows)}
