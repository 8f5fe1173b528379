"""When a photo surely shows what a question describes, where its list ends, and what labels and a minus weigh.

    python -m train cutoff --data DIR            compare the rules on Flickr8k's development part
    python -m train cutoff --data DIR --test     report the tool's own choice, once, on its test part

The pictures are the library; captions and plain words are the questions. A photo is right for a word where at least two
of its five captions name it, and for a caption if it is its own or its captions name two thirds of the caption's words.
Captions leave much out, so precision is at least what is printed. Words were written down before any was looked at.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train import test_set_ledger
from train.recipes import features
from train.tool import (
    DESCRIPTIONS,
    END,
    EVERYDAY,
    LABEL_WEIGHT,
    SURE,
    LabelScores,
    Model,
    TextModel,
    catalog,
    find_end,
    find_labels,
    measure_evidence,
    measure_named,
)

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

LEDGER_NAME = "search, cut"
LIMIT = 20  # photos shown
SIZES = (1000, 100, 20)  # photos of a library
WORDS = (
    "dog beach snow child man woman boy girl people water ball grass bike car street mountain jumping running "
    "swimming skateboard surfer football soccer horse tree red blue black white baby crowd night rock pool boat bench "
    "hat guitar climbing sand ocean motorcycle bird kitten laptop penguin pizza elephant castle sunset wedding flower "
    "church train bus umbrella dancing sleeping reading eating smile family party camera tent kite goggles helmet "
    "uniform dress swing fence lake river waterfall fountain city restaurant table couch stick frisbee toy leash "
    "tennis basketball baseball race cowboy rodeo snowboard ski sled ice fire smoke fish cow sheep cat spider violin "
    "airplane refrigerator receipt map ship dinosaur book computer phone keyboard cake birthday christmas owl "
    "butterfly snake whale shark rocket volcano desert moon stars office kitchen bathroom bedroom"
).split()
TEST_WORDS = (
    "puppy sidewalk bicycle shirt jacket sunglasses park field forest playground wave hill road wall window door "
    "stairs bridge truck wheel team player rider singer stage microphone drink food ice-cream bottle rope net sign "
    "flag mask hand face hair stripes shadow"
).split()
PAIRS = (
    "dog beach; dog snow; dog water; dog ball; dog grass; child swing; boy pool; bike street; bike mountain; boat "
    "lake; car street; dog stick; bench street; hat beach; mountain snow; ball grass; dog fence; umbrella street"
).split("; ")
MINUS = ("dog beach", "people dog", "snow ski", "street car", "water boat", "woman hat", "child swing", "man bike")
IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "leaves": "leaf",
    "running": "run", "runs": "run", "kids": "kid",
}  # fmt: skip
STOP = frozenset(
    "a an the of on in at to and with is are be it its his her their while by for from near next into onto over up "
    "down as that this there some one two three who has have other behind front through out off across around "
    "along".split()
)


@dataclass(frozen=True, slots=True)
class Library:
    """Pictures with captions. everyday: the similarities of the everyday descriptions to them, [M, N]."""

    vectors: Floats
    scores: Floats
    captions: Sequence[Sequence[str]]
    named: Sequence[Sequence[frozenset[str]]]
    everyday: Floats
    model: Model
    text: TextModel


@dataclass(frozen=True, slots=True)
class Asked:
    """A question's first LIMIT photos: similarity, evidence, standard deviations above the library's mean, the share of
    everyday descriptions whose best lies below; which are right. right_in_all: of the whole library."""

    similarity: Floats
    evidence: Floats
    z: Floats
    share: Floats
    right: Bools
    right_in_all: int


Rule = tuple[str, Callable[[Asked], Bools]]


def show(data: Path, *, test: bool) -> None:
    library = open_library(data, "test" if test else "validation")
    if test:
        model = catalog.resolve(catalog.DEFAULT_MODEL)
        count = test_set_ledger.record(Path(str(model)), LEDGER_NAME, "flickr8k")
        print(f"Flickr8k, test part, {len(library.captions)} photos; looked at {count} times for this")
        report(ask_captions(library), "captions")
        report(ask_words(library, TEST_WORDS), f"{len(TEST_WORDS)} plain words")
        return
    kinds = {f"{kind}, {n} photos": questions for n in SIZES for kind, questions in
             (("captions", ask_captions(library, n)), ("words", ask_words(library, WORDS, n)))}  # fmt: skip
    compare_sure(kinds)
    compare_ends(kinds)
    compare_label_weights(library)
    compare_minus(library)


def open_library(data: Path, part: str) -> Library:
    examples = features.list_examples(data, "flickr8k", part)
    model = Model(catalog.resolve(catalog.DEFAULT_MODEL), provider="cpu")
    text = TextModel(catalog.text_model_for(model.card.space))
    outputs = [model.predict(images[:, None]) for images in
               features.prepare_batches([e.path for e in examples], model.card.input_size, model.card.fit)]  # fmt: skip
    vectors = np.concatenate([o.vectors for o in outputs])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    descriptions = DESCRIPTIONS.read_text(encoding="utf-8").splitlines()
    everyday = text.embed(descriptions[:: len(descriptions) // EVERYDAY]) @ vectors.T
    captions = [e.captions for e in examples]
    named = [[frozenset(list_stems(caption)) for caption in each] for each in captions]
    return Library(vectors, np.concatenate([o.scores for o in outputs]), captions, named, everyday, model, text)


def list_stems(text: str) -> list[str]:
    return [_stem(word) for word in re.findall("[a-z]+", text.lower()) if word not in STOP]


def _stem(word: str) -> str:
    if word in IRREGULAR:
        return IRREGULAR[word]
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            if ending in ("ing", "ed") and len(word) > 3 and word[-1] == word[-2]:
                word = word[:-1]
            break
    return word.rstrip("e") if len(word) > 3 else word


def name_right(library: Library, words: str, captions: int = 2) -> Bools:
    """Which photos show the words, by at least so many of their captions."""
    stems = frozenset(list_stems(words))
    return np.array([sum(stems <= caption for caption in each) >= captions for each in library.named])


def ask_words(library: Library, words: Sequence[str], n: int | None = None) -> list[Asked]:
    right = np.stack([name_right(library, word) for word in words])
    return _ask(library, library.text.embed(words), right, n)


def ask_captions(library: Library, n: int | None = None) -> list[Asked]:
    """One caption of each photo."""
    chosen = [random.Random(i).choice(captions) for i, captions in enumerate(library.captions)]
    every = [frozenset().union(*each) for each in library.named]
    right = np.zeros((len(chosen), len(every)), np.bool_)
    for i, caption in enumerate(chosen):
        stems = frozenset(list_stems(caption))
        right[i] = [3 * len(stems & each) >= max(2 * len(stems), 1) for each in every]
        right[i, i] = True
    return _ask(library, library.text.embed(chosen), right, n)


def _ask(library: Library, units: Floats, right: Bools, n: int | None) -> list[Asked]:
    """n: ask libraries of n of the photos, as many as make about 1,000."""
    size = len(library.vectors)
    rng = np.random.default_rng(0)
    n = n or size
    parts = [np.arange(size)] if n >= size else np.array_split(rng.permutation(size)[: size // n * n], size // n)[:8]
    return [_ask_one(library, part, unit, one[part]) for part in parts for unit, one in zip(units, right, strict=True)]


def _ask_one(library: Library, part: npt.NDArray[np.intp], unit: Floats, right: Bools) -> Asked:
    similarities, everyday = library.vectors[part] @ unit, library.everyday[:, part]
    first = np.argsort(-similarities)[:LIMIT]
    near = similarities[first]
    evidence, _ = measure_evidence(near, everyday[:, first])
    z = (near - similarities.mean()) / max(float(similarities.std()), 1e-6)
    best = np.sort(everyday.max(1))
    share = np.searchsorted(best, near).astype(np.float32) / len(best)
    return Asked(near, evidence, z, share, right[first], int(right.sum()))


# ---- is the first sure?


def _gap(asked: Asked) -> Floats:
    """The distance of each to the next, in standard deviations of the library."""
    return np.append(-np.diff(asked.z), 0).astype(np.float32)


SIGNS: Mapping[str, Callable[[Asked], Floats]] = {
    "gap to the next": _gap, "z in the library": lambda a: a.z, "share of descriptions": lambda a: a.share,
    "evidence": lambda a: a.evidence,
}  # fmt: skip


def compare_sure(kinds: Mapping[str, Sequence[Asked]]) -> None:
    """For each rule: P(first is right, where it is above the threshold), P(where below), and the two's separation."""
    print("is the first right? area under the ROC curve, then for thresholds: right where sure / right where not sure")
    for name, sign in SIGNS.items():
        print(f"{name:24}", "; ".join(f"{kind} {_measure_auc(sign, asked):.3f}" for kind, asked in kinds.items()))
    print(f"{'logistic of all four':24}", "; ".join(f"{k} {v:.3f}" for k, v in _measure_logistic(kinds).items()))
    for threshold in (3.0, 3.5, 4.0, 4.5, 5.0):
        cells = []
        for kind, asked in kinds.items():
            sure, right = (np.array([pick(a) for a in asked]) for pick in
                           (lambda a, t=threshold: a.evidence[0] >= t, lambda a: a.right[0]))  # fmt: skip
            cells.append(f"{kind} {_mean(right[sure]):.2f}/{_mean(right[~sure]):.2f}")
        print(f"{'evidence >= ' + str(threshold):24}", "; ".join(cells))


def _measure_auc(sign: Callable[[Asked], Floats], asked: Sequence[Asked]) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([a.right[0] for a in asked], [sign(a)[0] for a in asked]))


def _measure_logistic(kinds: Mapping[str, Sequence[Asked]]) -> dict[str, float]:
    """Fitted on every second question, measured on the others."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    def table(asked: Sequence[Asked]) -> Floats:
        return np.array([[sign(a)[0] for sign in SIGNS.values()] for a in asked], np.float32)

    train = [a for asked in kinds.values() for a in asked[::2]]
    fitted = LogisticRegression(max_iter=1000).fit(table(train), [a.right[0] for a in train])
    return {
        kind: float(roc_auc_score([a.right[0] for a in asked[1::2]], fitted.predict_proba(table(asked[1::2]))[:, 1]))
        for kind, asked in kinds.items()
    }


# ---- where does the list end?


def compare_ends(kinds: Mapping[str, Sequence[Asked]]) -> None:
    """For each rule, the means of: photos shown, precision, recall of what LIMIT could hold, F1."""
    print("\nthe end: photos shown, precision, recall (of up to 20), F1")
    rules: list[tuple[str, Callable[[Asked], int]]] = [("all 20", lambda a: len(a.z)), ("10", lambda a: 10)]
    rules.append(("largest gap", lambda a: 1 + int(np.argmax(_gap(a)))))
    rules += [(f"z >= {s} of the first's", lambda a, s=s: int((a.z >= s * a.z[0]).sum())) for s in (0.5, 0.6, 0.7, 0.8)]
    rules += [(f"above {q} of descriptions", lambda a, q=q: int((a.share >= q).sum())) for q in (0.25, 0.5)]
    rules += [(f"evidence >= {s} of best", lambda a, s=s: _end(a.evidence, s)) for s in (0.5, 0.6, 0.7, 0.8)]
    rules.append(("the tool's", lambda a: find_end(a.evidence.tolist())))
    for name, rule in rules:
        cells = [f"{kind} " + "{:.1f} {:.2f} {:.2f} {:.3f}".format(*_measure(rule, a)) for kind, a in kinds.items()]
        print(f"{name:24}", "; ".join(cells))


def _end(evidence: Floats, share: float) -> int:
    return int(np.flatnonzero(evidence >= share * evidence.max())[-1]) + 1 if evidence.max() > 0 else 1


def _measure(rule: Callable[[Asked], int], asked: Sequence[Asked]) -> tuple[float, float, float, float]:
    shown = np.array([max(1, rule(a)) for a in asked])
    right = np.array([a.right[:n].sum() for a, n in zip(asked, shown, strict=True)])
    there = np.array([min(LIMIT, a.right_in_all) for a in asked])
    precision, recall = right / np.minimum(shown, LIMIT), right / np.maximum(there, 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-9)
    some = there > 0
    return shown.mean(), precision.mean(), recall[some].mean(), f1[some].mean()


# ---- labels and a minus


def compare_label_weights(library: Library) -> None:
    """Recall of captions at 10, and of pairs such as "dog and beach" the share of right ones that the first 10 hold."""
    captions = [(caption, i) for i, each in enumerate(library.captions) for caption in each]
    similarity = library.text.embed([c for c, _ in captions]) @ library.vectors.T
    spread = float(library.everyday.std(0).mean())
    boosts = np.stack([_boost(library, caption) for caption, _ in captions])
    named = _measure_named(library, [c for c, _ in captions])
    own = np.array([i for _, i in captions])
    pairs = [(pair, name_right(library, pair)) for pair in PAIRS]
    print("\nlabels: weight, power of the share of words that name them; recall at 10 of captions; "
          "share of right ones in the first 10 of A and B, of A on a B")  # fmt: skip
    for weight, power in ((0, 0), *((w, p) for w in (1, 2, 3) for p in (0, 1, 2, 3))):
        ranks = similarity / spread + weight * boosts * named**power
        hits = (ranks > ranks[np.arange(len(own)), own][:, None]).sum(1) < 10
        cells = [_mean([_measure_first(library, joiner.join(pair.split()), spread, weight, power, right)
                        for pair, right in pairs if right.any()]) for joiner in (" and ", " on a ")]  # fmt: skip
        print(f"{weight:4} {power:4} {hits.mean():.4f} {cells[0]:.3f} {cells[1]:.3f}")


def _measure_first(library: Library, text: str, spread: float, weight: float, power: float, right: Bools) -> float:
    named = float(_measure_named(library, [text])[0, 0])
    ranks = library.vectors @ library.text.embed([text])[0] / spread + weight * named**power * _boost(library, text)
    return float(right[np.argsort(-ranks)[:10]].sum() / min(10, right.sum()))


def _measure_named(library: Library, texts: Sequence[str]) -> Floats:
    return np.array([measure_named(text, library.model.card.labels)[1:] for text in texts], np.float32)


def _boost(library: Library, text: str) -> Floats:
    """How surely each photo has the labels that a text names, 0..1 a label."""
    card = library.model.card
    total = np.zeros(len(library.vectors), np.float32)
    for name in find_labels(text, card.labels):
        scores = library.scores[:, card.labels.index(name)]
        kept = {i: float(s) for i, s in enumerate(scores) if s >= card.min_score}
        total += LabelScores((), card.thresholds[name], lambda _, kept=kept: kept).weigh(range(len(scores)))
    return total / LABEL_WEIGHT


def compare_minus(library: Library) -> None:
    """Of the first ten of "A -B": the share that shows B, and that shows A, by any caption."""
    print("\nA -B: the first ten that show B / A: without the minus, subtracted, penalised, and without label B")
    card, spread = library.model.card, float(library.everyday.std(0).mean())
    rows = []
    for pair in MINUS:
        wanted, unwanted = pair.split()
        a, b = library.text.embed([wanted, unwanted])
        shows = [name_right(library, word, captions=1) for word in (unwanted, wanted)]
        near, excess = (
            library.vectors @ a,
            np.maximum(0, measure_evidence(library.vectors @ b, library.everyday)[0] - 0.5),
        )
        allowed = np.ones(len(near), np.bool_)
        for name in find_labels(unwanted, card.labels):
            allowed &= library.scores[:, card.labels.index(name)] < card.thresholds[name]
        orders = (near, library.vectors @ (a - b), near - spread * excess,
                  np.where(allowed, near - spread * excess, -9))  # fmt: skip
        rows.append([[s[np.argsort(-order)[:10]].mean() for s in shows] for order in orders])
        print(f"{wanted} -{unwanted:10}", "  ".join(f"{x:.1f} / {y:.1f}" for x, y in rows[-1]))
    print("mean" + " " * 12, "  ".join(f"{x:.2f} / {y:.2f}" for x, y in np.mean(rows, 0)))


# ---- the test part


def report(asked: Sequence[Asked], kind: str) -> None:
    """What the tool's own rules give: SURE and END."""
    sure, right = (np.array(x) for x in zip(*((a.evidence[0] >= SURE, a.right[0]) for a in asked), strict=True))
    for name, part in (("all", np.ones(len(sure), np.bool_)), ("sure", sure), ("not sure", ~sure)):
        chosen = [a for a, yes in zip(asked, part, strict=True) if yes]
        if chosen:
            shown, precision, recall, _ = _measure(lambda a: find_end(a.evidence.tolist()), chosen)
            print(f"{kind}, {name} ({len(chosen)}): shown {shown:.1f}, precision {precision:.2f}, recall {recall:.2f}")
    every = [a.evidence[: find_end(a.evidence.tolist())] >= SURE for a in asked]
    marked = [a.right[: len(e)][e] for a, e in zip(asked, every, strict=True)]
    print(f"{kind}: photos called sure {_mean(np.concatenate(marked)):.2f} right; first right {_mean(right):.2f}; 'not "
          f"sure' over a right first {_mean(~sure[right]):.2f}; sure of a wrong first {_mean(sure[~right]):.2f}; "
          f"END {END}")  # fmt: skip


def _mean(values: npt.ArrayLike) -> float:
    found = np.asarray(values, np.float64)
    return float(found.mean()) if found.size else float("nan")
