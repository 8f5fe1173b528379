"""Lesson 1: a small net guesses the price of a house from three numbers.

Idea: weighted sums of the inputs, bent at zero, summed again. The weights are found by trying: guess, look how
wrong it was, turn every weight a little the better way, again. Nothing in `net` or `fit` knows of houses; every
later lesson uses the two as they are here.
Not here: real prices. They are synthetic, with a noise that we chose, so that the best possible R2 is known.
Source: Adam Geitgey, "Machine Learning is Fun!", parts 1 and 2, 2014 and 2016,
https://medium.com/@ageitgey/machine-learning-is-fun-80ea3ec3c471
Command: python -m train lesson 1

Printed: R2 0.982 (0.981 to 0.982). On AMD EPYC, 2 cores, 1 thread, torch 2.13.0+cpu; n = 3 runs, median (lowest to
highest).
"""

import io
import itertools
import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

TITLE = "A house price net"
NOISE = 20_000  # dollars, standard deviation: what no net can know
RATE = (120, 90, 260, 150, 210)  # dollars a square foot, by neighbourhood: the number of one says nothing of its rate
HOUSES = {"train": 4_000, "test": 1_000}


def lesson(data: Path, models: Path, *, seed: int = 0, quick: bool = False, plot: Path | None = None) -> dict:
    """Teach the net, compare it with duller guesses, print R2. data: not read here."""
    torch.manual_seed(seed)
    (x, y), (x_test, y_test) = (houses(n, seed=[seed, i]) for i, n in enumerate(HOUSES.values()))
    mean, spread = y.mean(), y.std()

    network = Price(net(3, 64, 64, 1), x, mean, spread)
    fit(network, x, (y - mean) / spread, nn.functional.mse_loss, steps=300 if quick else 2_000, seed=seed)
    export(network, models / "lesson1.onnx")

    with torch.inference_mode():
        guess = network(x_test) * spread + mean
    line = torch.linalg.lstsq(torch.cat([x, torch.ones(len(x), 1)], 1), y[:, None]).solution
    best_line = (torch.cat([x_test, torch.ones(len(x_test), 1)], 1) @ line)[:, 0]
    rows = [
        ["always the mean", r2(mean.expand(len(y_test)), y_test), (mean - y_test).square().mean().sqrt()],
        ["the best straight line", r2(best_line, y_test), (best_line - y_test).square().mean().sqrt()],
        ["the net", r2(guess, y_test), (guess - y_test).square().mean().sqrt()],
        ["whoever knows all but the noise", 1 - NOISE**2 / y_test.var().item(), torch.tensor(float(NOISE))],
    ]
    if plot:
        draw(guess, y_test, plot / "lesson1-prices.png")
    return {
        "numbers": {"R2": rows[2][1]},
        "columns": ["guess", "R2", "typical error, dollars"],
        "rows": [[name, f"{score:z.3f}", f"{error.item():,.0f}"] for name, score, error in rows],
        "parameters": parameters(network),
        "therefore": f"R2 {rows[2][1]:.3f} from three numbers. A picture is only more numbers: can the same net read?",
    }


def houses(n: int, seed: int | list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """-> float [n, 3]: bedrooms 1 to 5, square feet, neighbourhood 0 to 4; and float [n]: dollars, noise included."""
    rng = np.random.default_rng(seed)
    bedrooms = rng.integers(1, 6, n)
    feet = (300 + 350 * bedrooms + rng.normal(0, 200, n)).clip(300)
    neighbourhood = rng.integers(0, len(RATE), n)
    price = 20_000 * bedrooms + feet * np.take(RATE, neighbourhood) + rng.normal(0, NOISE, n)
    x = np.stack([bedrooms, feet, neighbourhood], 1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(price, dtype=torch.float32)


def net(*sizes: int) -> nn.Sequential:
    """Fully connected layers, each but the last bent at zero: net(3, 64, 1) has 3 inputs, 64 hidden, 1 output."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def fit(network: nn.Module, x, y, loss, *, steps: int, batch: int = 128, rate: float = 2e-3, seed: int = 0) -> None:
    """Turn the weights a little the better way, `steps` times, by a batch of examples each.

    Adam (Kingma, Ba, 2014, https://arxiv.org/abs/1412.6980), with a rate that falls in a straight line to zero.
    """
    rng = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate)
    falling = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=steps)
    order = torch.empty(0, dtype=torch.long)
    network.train()
    for _ in range(steps):
        if len(order) < min(batch, len(x)):
            order = torch.randperm(len(x), generator=rng)
        chosen, order = order[:batch], order[batch:]
        optimiser.zero_grad()
        loss(network(x[chosen]), y[chosen]).backward()
        optimiser.step()
        falling.step()
    network.eval()


class Price(nn.Module):
    """Houses as they are typed -> the net's small numbers: [n, 3] -> [n], in standard deviations from the mean."""

    def __init__(self, network: nn.Module, x: torch.Tensor, mean: torch.Tensor, spread: torch.Tensor):
        super().__init__()
        self.network = network
        self.register_buffer("x_mean", x.mean(0))
        self.register_buffer("x_spread", x.std(0))
        self.register_buffer("mean", mean)
        self.register_buffer("spread", spread)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network((x - self.x_mean) / self.x_spread)[:, 0]


class Dollars(nn.Module):
    def __init__(self, price: Price):
        super().__init__()
        self.price = price

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.price(x) * self.price.spread + self.price.mean


def r2(guess: torch.Tensor, truth: torch.Tensor) -> float:
    """The part of the prices' variance that the guess explains: 1 at best, 0 for the mean, less for worse."""
    return 1 - ((guess - truth).square().sum() / (truth - truth.mean()).square().sum()).item()


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def export(network: Price, path: Path) -> None:
    """houses float [N, 3] -> dollars float [N]. No photo model: it has no card, and photosearch refuses it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # as in train/export.py
        torch.onnx.export(
            Dollars(network).eval(), (torch.zeros(2, 3),), buffer, dynamo=False, opset_version=18,
            input_names=["houses"], output_names=["dollars"], dynamic_axes={"houses": {0: "N"}, "dollars": {0: "N"}},
        )  # fmt: skip
    onnx.checker.check_model(onnx.load_from_string(buffer.getvalue()), full_check=True)
    aside = path.with_suffix(".part")
    aside.write_bytes(buffer.getvalue())
    aside.replace(path)


def draw(guess: torch.Tensor, truth: torch.Tensor, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.5, 4.2), dpi=90, layout="constrained")
    axes = figure.subplots()
    axes.scatter(truth / 1000, guess / 1000, s=5, alpha=0.4, linewidths=0)
    axes.axline((200, 200), slope=1, color="black", linewidth=0.8)
    axes.set(xlabel="price, thousand dollars", ylabel="the net's guess", title="1,000 houses that the net never saw")
    figure.savefig(path)
