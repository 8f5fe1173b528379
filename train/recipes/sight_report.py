"""How right the sight model is on the test parts, each looked at once, beside the network that it is made of.

    python -m train.recipes.sight_report --data DIR --model photosearch/models/shipped/sight.onnx [--cost]

Writes docs/measured/sight.SET.json, one a set: a row for each everyday label with truth there (see truths.py), bird by
three networks (this one; the untouched backbone in float32, its 59 bird classes summed, with a threshold by the same
rule; bird-photo), and the expected calibration error of bird and of all everyday labels pooled. Rows go into the card.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import scipy.special

from train.networks import heads
from train.recipes import frozen, labels, sight, truths

SETS = ("flickr8k", "caltech-101", "cub", "tiny-imagenet")
LEAST = 5  # pictures that show a label, for a row of it
FIRST = 20  # of a search, whose precision is given
SEARCHES = ("dog", "car", "food", "boat", "flower")
ECE_BINS = 10
ROUNDS = 40  # of each network, when their cost is measured


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.recipes.sight_report")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--model", required=True, type=Path)
    parser.add_argument("--compare", type=Path, default=Path("photosearch/models/bird-photo.onnx"))
    parser.add_argument("--cache", type=Path, default=Path(".runs/sight"))
    parser.add_argument("--to", type=Path, default=Path("docs/measured"))
    parser.add_argument("--on", nargs="+", choices=SETS, default=SETS)
    parser.add_argument(
        "--cost", action="store_true", help="only the time a view takes, one thread, the networks paired"
    )
    args = parser.parse_args()
    measure_cost(args) if args.cost else measure(args)


def measure(args: argparse.Namespace) -> None:
    model = args.model.read_bytes()
    card = read_card(onnx.load_from_string(model))
    rows, synonyms = labels.read(sight.TABLES)
    tables = truths.prepare(rows, synonyms)
    reader = Reader(model, card, args.data, args.cache, rows)
    untouched = reader.untouched_threshold(tables)
    everything, results = [], {}
    for name in args.on:
        pictures = frozen.pictures(args.data, name, "test")
        truth = truths.judge(pictures, tables)
        scores = reader.scores(pictures)
        result = judge(card, scores, truth, name)
        bird = card["labels"].index("bird")
        present = truth[:, bird] == 1
        result["bird_compared"] = [
            compare("sight", present, scores[:, bird], card["thresholds"]["bird"]),
            compare("EfficientNet-Lite2, untouched", present, reader.untouched(pictures), untouched),
            reader.other(args.compare, pictures, present, args.to / f"bird-photo.{name}.json"),
        ]
        results[name] = result
        everything += [{"split": f"{name}, test", **row} for row in result["rows"]]
        print(name, json.dumps(result["bird_compared"]), result["expected_calibration_error"])
    embed({**card, "measured": everything}, args.model)
    digest = hashlib.blake2b(args.model.read_bytes(), digest_size=8).hexdigest()
    for name, result in results.items():
        head = {"model": card["name"], "version": card["version"], "digest": digest, "on": name, "tiles": 0}
        write({**head, "looked_at": 1, **result}, args.to / f"sight.{name}.json")


class Reader:
    """What the model, its backbone in float32 and another model say of pictures. Owns no session for long."""

    def __init__(self, model: bytes, card: dict[str, Any], data: Path, cache: Path, rows: Sequence[labels.Label]):
        settings = card["details"]["settings"]
        self.model, self.card, self.data, self.cache = model, card, data, cache
        self.plain = sight.Settings(backbone=settings["backbone"], fit=settings["fit"], int8=False)
        self.network = sight.see(self.plain, data, cache)
        self.weight, self.bias = sight.classifier(self.plain.backbone)
        below = labels.classes_below(rows)
        self.birds = sorted(below["bird"])

    def scores(self, pictures: Sequence[frozen.Seen]) -> npt.NDArray[np.float32]:
        paths = [p.path for p in pictures]
        both = frozen.look(self.model, paths, self.card["input_size"], self.card["fit"], self.cache, exact=True)
        return both[:, : len(self.card["labels"])]

    def untouched(self, pictures: Sequence[frozen.Seen]) -> npt.NDArray[np.float64]:
        features = sight.features_of(self.network, pictures, self.plain, self.cache)
        classes = scipy.special.softmax(features.astype(np.float64) @ self.weight.T + self.bias, axis=1)
        return classes[:, self.birds].sum(1)

    def untouched_threshold(self, tables: truths.Tables) -> float:
        """By the rule of the labels: where F1 is best on the same validation parts, counted the same way."""
        column, total = tables.labels.index("bird"), np.zeros((2, len(sight.BINS)))
        for name, share in self.plain.sets.items():
            pictures = frozen.pictures(self.data, name, "train" if name == "flickr8k" else "validation")
            truth = truths.judge(pictures, tables)[:, column]
            chances = np.clip(self.untouched(pictures), heads.LEAST, 1 - heads.LEAST)
            total += sight.count(scipy.special.logit(chances), truth, np.full(len(pictures), share))
        return sight.best_f1(total)

    def other(
        self, path: Path, pictures: Sequence[frozen.Seen], present: npt.NDArray[np.bool_], measured: Path
    ) -> dict[str, Any]:
        """bird-photo's row: as `train evaluate` measured it on the whole test part, or from a pass of its own."""
        if measured.exists():
            its = json.loads(measured.read_text(encoding="utf-8"))
            keys = ("threshold", "n", "tp", "fp", "fn", "tn", "precision", "recall", "average_precision")
            return {"network": f"{its['model']}, by train evaluate", **{k: its[k] for k in keys}}
        model = path.read_bytes()
        card = read_card(onnx.load_from_string(model))
        paths = [p.path for p in pictures]
        scores = frozen.look(model, paths, card["input_size"], card["fit"], self.cache, exact=True)[:, 0]
        return compare(card["name"], present, scores, card["thresholds"][card["labels"][0]])


def judge(card: dict[str, Any], scores: npt.NDArray[Any], truth: truths.Truth, name: str) -> dict[str, Any]:
    """The rows of the everyday labels, the searches, and the calibration errors. Truth of -1 is left out."""
    rows, pooled_scores, pooled_truth = [], [], []
    for label in sight.EVERYDAY:
        i = card["labels"].index(label)
        known = truth[:, i] >= 0
        present, score = truth[known, i] == 1, scores[known, i]
        if known.any() and not present.all():
            pooled_scores.append(score)
            pooled_truth.append(present)
        if present.sum() >= LEAST and (not present.all() or label == "bird"):
            rows.append({"label": label, **tally(present, score, card["thresholds"][label])})
    bird = next((i for i, row in enumerate(rows) if row["label"] == "bird"), None)
    i = card["labels"].index("bird")
    errors = {"bird": calibration_error(truth[:, i] == 1, scores[:, i])}
    if pooled_truth:
        errors["everyday labels pooled"] = calibration_error(
            np.concatenate(pooled_truth), np.concatenate(pooled_scores)
        )
    shares = {k: [r[k] for r in rows if r[k] is not None] for k in ("precision", "recall", "average_precision")}
    first = {
        label: round(float((truth[np.argsort(-scores[:, j], kind="stable")[:FIRST], j] == 1).mean()), 4)
        for label in SEARCHES
        for j in [card["labels"].index(label)]
    }
    return {
        **(rows[bird] if bird is not None else {}),
        "labels": len(rows),
        "macro": {k: round(float(np.mean(v)), 4) for k, v in shares.items() if v},
        "micro": micro(rows),
        "expected_calibration_error": {k: round(v, 4) for k, v in errors.items()},
        f"precision_at_{FIRST}": first if name == "flickr8k" else None,
        "rows": rows,
    }


def tally(present: npt.NDArray[np.bool_], scores: npt.NDArray[Any], threshold: float) -> dict[str, Any]:
    found = scores >= threshold
    tp, fp = int((found & present).sum()), int((found & ~present).sum())
    fn, tn = int(present.sum()) - tp, int((~found & ~present).sum())
    ap = sight.average_precision(present, scores)
    return {
        "threshold": round(float(threshold), 5),
        "n": len(present), "positives": int(present.sum()), "tp": tp, "fp": fp, "fn": fn, "tn": tn,
        "precision": round(tp / (tp + fp), 4) if tp + fp else None,
        "recall": round(tp / (tp + fn), 4) if tp + fn else None,
        "average_precision": None if ap is None else round(ap, 4),
    }  # fmt: skip


def compare(network: str, present: npt.NDArray[np.bool_], scores: npt.NDArray[Any], threshold: float) -> dict[str, Any]:
    return {"network": network, **tally(present, scores, threshold)}


def micro(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    tp, fp, fn = (sum(r[k] for r in rows) for k in ("tp", "fp", "fn"))
    return {"precision": round(tp / max(1, tp + fp), 4), "recall": round(tp / max(1, tp + fn), 4)}


def calibration_error(present: npt.NDArray[np.bool_], scores: npt.NDArray[Any]) -> float:
    """Mean distance of score and share that shows it, over ten bins of equal width, weighted by their pictures."""
    where = np.minimum((scores * ECE_BINS).astype(int), ECE_BINS - 1)
    return float(
        sum(abs(scores[where == b].mean() - present[where == b].mean()) * (where == b).mean() for b in set(where))
    )


def measure_cost(args: argparse.Namespace) -> None:
    """Core-milliseconds a view, batches of four, one thread, the networks in turn; the median of ROUNDS."""
    card = read_card(onnx.load(args.model))
    plain = args.cache / "sight-float.onnx"
    files = {
        "bird-photo": args.compare,
        "sight": args.model,
        **({"its backbone in float32": plain} if plain.exists() else {}),
    }
    seconds: dict[str, list[float]] = {name: [] for name in files}
    sessions = {name: frozen.open_network(file) for name, file in files.items()}
    rng = np.random.default_rng(0)
    for _ in range(ROUNDS):
        for name, session in sessions.items():
            (takes,) = session.get_inputs()
            pixels = rng.integers(0, 256, (4, *takes.shape[1:]), dtype=np.uint8)
            started = time.process_time()
            session.run(None, {takes.name: pixels})
            seconds[name].append((time.process_time() - started) / 4)
    result = {
        "model": card["name"], "version": card["version"], "on": "cost", "tiles": 0, "rounds": ROUNDS, "batch": 4,
        "core_ms_a_view": {name: round(1000 * float(np.median(v)), 2) for name, v in seconds.items()},
        "bytes": {name: file.stat().st_size for name, file in files.items()},
    }  # fmt: skip
    write(result, args.to / "sight.cost.json")
    print(json.dumps(result))


def read_card(model: onnx.ModelProto) -> dict[str, Any]:
    return json.loads(next(p.value for p in model.metadata_props if p.key == sight.CARD_KEY))


def embed(card: dict[str, Any], path: Path) -> None:
    """Give a file another card, the graph untouched."""
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {sight.CARD_KEY: json.dumps(card, sort_keys=True)})
    sight.write(model, path)


def write(result: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
