"""What a step of teaching best32 costs with torch's own gradients of its convolutions by channel, and with ours."""

import time
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import Cost, middle, ratio
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


def teaching(*, batch: int = 64, steps: int = 4, rounds: int = 5) -> dict[str, Any]:
    """batch: pictures a step. In each round every way takes so many steps, one after another, on one thread."""
    keep_memory()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        networks = {name: _network(way) for name, way in WAYS.items()}
        for network in networks.values():  # oneDNN makes its kernels at the first step
            _cost(network, batch, 1)
        costs = {name: [] for name in WAYS}
        for _ in range(rounds):
            for name, network in networks.items():
                costs[name].append(_cost(network, batch, steps))
    finally:
        torch.set_num_threads(threads)
    ours = [c.core_seconds for c in costs["ours"]]
    rows = [
        {
            "way": name,
            "step_core_ms": middle(some).core_ms * batch,
            "times_ours": ratio([c.core_seconds for c in some], ours),
        }
        for name, some in costs.items()
    ]
    return {"batch": batch, "steps": steps, "rounds": rounds, "torch": torch.__version__, "rows": rows}


def _network(way: Any) -> nn.Module:
    network = best32.build(best32.Settings())
    for block in network.backbone._blocks:
        block._depthwise_conv = way(block._depthwise_conv.layer)
    return network.to(memory_format=torch.channels_last).train()


def _cost(network: nn.Module, batch: int, steps: int) -> Cost:
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
