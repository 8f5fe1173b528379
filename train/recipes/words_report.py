"""How well words find photographs, on the test parts, each looked at once, beside the untaught mix (ConSE) alone.

    python -m train.recipes.words_report --data DIR --models photosearch/models/shipped

Writes docs/measured/sight.words.json: Flickr8k's test part, 5,000 captions to 1,000 photographs; class names as
queries over Caltech-101's test half and Tiny ImageNet's, with the classes that are found worst. With --sheets DIR,
the ten first photographs of twenty everyday queries as contact sheets, to be looked at.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image, ImageDraw

from train import looks
from train.networks import heads, minilm
from train.recipes import frozen, labels, sight, truths, words
from train.recipes.frozen import Features
from train.recipes.sight_report import read_card, write

QUERIES = (
    "a dog running on the beach; children playing in a fountain; a man on a mountain bike; snow; sunset over water; "
    "people at a restaurant table; a football game; a boy in a swimming pool; a brown horse; skateboarding; "
    "a woman with an umbrella; two dogs fighting; a girl on a swing; rock climbing; a motorcycle race; "
    "someone surfing a wave; a crowd at night in the city; a baby eating; playing guitar; a red car"
).split("; ")
DESCRIBED = "sight, by description"  # in the ledger of looks
WORST = 12
TOP = 10


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.recipes.words_report")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--models", type=Path, default=Path("photosearch/models/shipped"))
    parser.add_argument("--cache", type=Path, default=Path(".runs/sight"))
    parser.add_argument("--to", type=Path, default=Path("docs/measured"))
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--on", nargs="*", default=["caltech-101", "tiny-imagenet"], help="whose class names are asked")
    args = parser.parse_args()
    space = Space(args.models, args.cache)
    rows, synonyms = labels.read(sight.TABLES)
    tables = truths.prepare(rows, synonyms)
    looked = {on: looks.count(args.models / "sight.onnx", DESCRIBED, on) for on in ("flickr8k", *args.on)}
    result: dict[str, Any] = {"model": "sight", "on": "words", "tiles": 0, "looked_at": looked}
    photos = frozen.pictures(args.data, "flickr8k", "test")
    vectors, untaught = space.see(photos)
    captions = space.read([c for p in photos for c in p.captions])
    own = np.repeat(np.arange(len(photos)), [len(p.captions) for p in photos])
    result["flickr8k, test"] = {
        "queries": len(own),
        "photos": len(photos),
        "sight": _round(words.recall_at(captions, vectors, own)),
        "ConSE alone": _round(words.recall_at(captions, untaught, own)),
        "random": {f"recall_at_{k}": k / len(photos) for k in words.RANKS},
    }
    print(json.dumps(result["flickr8k, test"]))
    if args.sheets:
        for i, (query, vector) in enumerate(zip(QUERIES, space.read(QUERIES), strict=True)):
            first = np.argsort(-(vectors @ vector))[:TOP]
            draw([photos[j].path for j in first], args.sheets / f"{i:02}-{query.replace(' ', '-')}.jpg")
    for name in args.on:
        pictures = frozen.pictures(args.data, name, "test")
        queries, kinds = words.class_queries(pictures, tables)
        vectors, untaught = space.see(pictures)
        asked = space.read(queries)
        found = words.mean_average_precision(asked, vectors, kinds)
        alone = words.mean_average_precision(asked, untaught, kinds)
        order = np.argsort(found)[:WORST]
        result[f"{name}, test"] = {
            "queries": len(queries),
            "photos": len(pictures),
            "map": round(float(found.mean()), 4),
            "map of ConSE alone": round(float(alone.mean()), 4),
            "found worst": {queries[i]: round(float(found[i]), 3) for i in order},
        }
        print(json.dumps(result[f"{name}, test"]))
    write(result, args.to / "sight.words.json")


class Space:
    """The two shipped files at work, and ConSE alone for comparison, from the scores of the same pass."""

    def __init__(self, models: Path, cache: Path):
        self.model = (models / "sight.onnx").read_bytes()
        self.card, self.cache = read_card(onnx.load_from_string(self.model)), cache
        self.text = frozen.open_network(models / "sight-text.onnx")
        from tokenizers import Tokenizer

        self.tokenizer = Tokenizer.from_file(str(models / "sight-text.tokenizer.json"))
        taught = {t.name: t for t in onnx.load_from_string(self.model).graph.initializer}
        name = next(n for n in taught if n.startswith("heads.") and n.removesuffix(".half").endswith("names"))
        self.names = onnx.numpy_helper.to_array(taught[name]).astype(np.float32)

    def see(self, pictures: Sequence[frozen.Seen]) -> tuple[Features, Features]:
        """-> vectors as they ship, [N, D], and ConSE's alone."""
        n, settings = len(self.card["labels"]), self.card
        paths = [p.path for p in pictures]
        both = frozen.look(self.model, paths, settings["input_size"], settings["fit"], self.cache, exact=True)
        return both[:, n:], self.untaught(both[:, :n])

    def untaught(self, scores: Features) -> Features:
        """ConSE from calibrated scores: the line is undone, which gives the classes' probabilities back."""
        classes = len(self.names)
        slope, shift = (np.array(self.card["details"][k][:classes]) for k in ("slope", "shift"))
        chances = np.clip(scores[:, :classes].astype(np.float64), 1e-12, 1 - 1e-7)
        logits = (np.log(chances / (1 - chances)) - shift) / slope
        weights = (1 / (1 + np.exp(-np.clip(logits, *_limits())))) ** 0.5
        least = np.sort(weights, axis=1)[:, -heads.TOP][:, None]
        mixed = (weights * (weights >= least)) @ self.names
        return (mixed / np.linalg.norm(mixed, axis=1, keepdims=True)).astype(np.float32)

    def read(self, texts: Sequence[str], batch: int = 64) -> npt.NDArray[np.float32]:
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        found = np.empty((len(texts), minilm.WIDTH), np.float32)
        for start in range(0, len(order), batch):
            some = order[start : start + batch]
            coded = self.tokenizer.encode_batch([texts[i] for i in some])
            fed = {"input_ids": [c.ids for c in coded], "attention_mask": [c.attention_mask for c in coded]}
            found[some] = self.text.run(None, {k: np.array(v, np.int64) for k, v in fed.items()})[0]
        return found


def _limits() -> tuple[float, float]:
    edge = float(np.log(heads.LEAST / (1 - heads.LEAST)))
    return edge, -edge


def _round(found: dict[str, float]) -> dict[str, float]:
    return {k: round(v, 4) for k, v in found.items()}


def draw(paths: Sequence[Path], to: Path, size: int = 160) -> None:
    """The photographs in two rows of five, numbered."""
    sheet = Image.new("RGB", (5 * size, 2 * size), "white")
    for i, path in enumerate(paths):
        with Image.open(path) as photo:
            sheet.paste(photo.convert("RGB").resize((size, size)), (i % 5 * size, i // 5 * size))
        ImageDraw.Draw(sheet).text((i % 5 * size + 4, i // 5 * size + 4), str(i + 1), fill="yellow")
    to.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(to, quality=85)


if __name__ == "__main__":
    main()
