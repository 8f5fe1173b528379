"""What a training step of best32 costs, with torch's own gradients of its depthwise convolutions and with ours."""

import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import Cost, Figures, compare_runs, median_cost
from train.__main__ import keep_memory
from train.networks.depthwise import Depthwise
from train.recipes import best32


class InFloat32(nn.Module):
    """torch's own layer, which autocast leaves alone."""

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.layer(x.float())


WAYS = {"torch's own, in bfloat16": lambda layer: layer, "torch's own, in float32": InFloat32, "ours": Depthwise}


def measure_teaching(*, batch: int = 64, steps: int = 4, rounds: int = 5) -> Figures:
    """batch: images a step. In each round every way takes `steps` steps, one way after another, on one thread."""
    keep_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        networks = {name: _build_network(way) for name, way in WAYS.items()}
        for network in networks.values():  # oneDNN compiles its kernels at the first step
            _measure_steps(network, batch, 1)
        costs = {name: [] for name in WAYS}
        for _ in range(rounds):
            for name, network in networks.items():
                costs[name].append(_measure_steps(network, batch, steps))
    finally:
        torch.set_num_threads(threads)
    ours = [c.core_seconds for c in costs["ours"]]
    rows = [
        {
            "way": name,
            "step_core_ms": median_cost(some).core_ms * batch,
            "times_ours": compare_runs([c.core_seconds for c in some], ours),
        }
        for name, some in costs.items()
    ]
    return {"batch": batch, "steps": steps, "rounds": rounds, "torch": torch.__version__, "rows": rows}


def _build_network(way: Any) -> nn.Module:
    network = best32.build(best32.Settings())
    for block in network.backbone._blocks:
        block._depthwise_conv = way(block._depthwise_conv.layer)
    return network.to(memory_format=torch.channels_last).train()


def _measure_steps(network: nn.Module, batch: int, steps: int) -> Cost:
    learned = [p for p in network.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, 1e-4)
    images = torch.randint(0, 256, (batch, 3, 32, 32)).float().contiguous(memory_format=torch.channels_last)
    targets = torch.arange(batch) % 10
    clock, cores = time.perf_counter(), time.process_time()
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(images).float()
        optimizer.zero_grad()
        best32.compute_loss(logits, targets, 0.05).backward()
        optimizer.step()
    return Cost(batch * steps, time.perf_counter() - clock, time.process_time() - cores)
