"""The exported form of the 32x32 networks: pixels to P(bird), by one network or the mean of several."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn


class Scorer(nn.Module):
    """uint8 [N, 32, 32, 3] -> P(bird) [N, 1] = sigmoid(scale * logit + bias).

    The logit is the mean over the networks and, with flips, over the picture and its mirror image.
    """

    def __init__(self, *networks: nn.Module, scale: float = 1.0, bias: float = 0.0, flips: bool = False):
        super().__init__()
        self.networks, self.scale, self.bias, self.flips = nn.ModuleList(networks), scale, bias, flips

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.logits(images) * self.scale + self.bias)

    def logits(self, images: Tensor) -> Tensor:
        """-> [N, 1]: ln(P(bird) / P(not bird)), not calibrated."""
        x = images.permute(0, 3, 1, 2).float()
        views = [x, x.flip(3)] if self.flips else [x]
        return torch.stack([bird_logits(network(v).float()) for network in self.networks for v in views]).mean(0)


def bird_logits(logits: Tensor) -> Tensor:
    """[N, 2] or [N, 10] -> [N, 1]: ln(P(bird) / P(not bird)). The network's last class is the bird."""
    return logits[:, -1:] - logits[:, :-1].logsumexp(1, keepdim=True)


def compute_logits(scorer: Scorer, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """-> float32 [N], without autocast, as in the exported file."""
    scorer.eval()
    device = next(scorer.parameters()).device
    with torch.inference_mode():
        parts = [scorer.logits(torch.from_numpy(part).to(device)).cpu() for part in split(images)]
    return torch.cat(parts)[:, 0].numpy()


def split(images: npt.NDArray[np.uint8], size: int = 500) -> Iterator[npt.NDArray[np.uint8]]:
    """The pictures in batches of `size`."""
    return (images[i : i + size] for i in range(0, len(images), size))
