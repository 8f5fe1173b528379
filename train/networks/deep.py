"""The talk's "more realistic" network: 224x224 pixels, any number of categories.

Convolution and max-pooling twice; convolution three times; max-pooling; two fully connected layers; one output per
category. This is the architecture of Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional
Neural Networks", 2012, with fewer filters, and batch normalisation (Ioffe, Szegedy, 2015) so that it trains in minutes
on a CPU.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

MEAN = torch.tensor([0.485, 0.456, 0.406])  # of ImageNet's photographs, red, green, blue, 0..1 ...
STD = torch.tensor([0.229, 0.224, 0.225])  # ... both from torchvision


def build(classes: int, *, size: int, filters: Sequence[int], dense: int, dropout: float) -> nn.Sequential:
    """float [N, 3, S, S] of mean 0 -> logits [N, classes]. filters: of the five convolutions."""
    a, b, c, d, e = filters

    def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> tuple[nn.Module, ...]:
        layer = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
        return layer, nn.BatchNorm2d(outputs), nn.ReLU()

    features = nn.Sequential(
        *(*convolution(3, a, 11, 4), nn.MaxPool2d(3, 2)),
        *(*convolution(a, b, 5), nn.MaxPool2d(3, 2)),
        *(*convolution(b, c, 3), *convolution(c, d, 3), *convolution(d, e, 3), nn.MaxPool2d(3, 2)),
        nn.Flatten(),
    )
    with torch.no_grad():
        width = features.eval()(torch.zeros(1, 3, size, size)).shape[1]
    layers = [nn.Dropout(dropout), nn.Linear(width, dense), nn.ReLU()]
    layers += [nn.Dropout(dropout), nn.Linear(dense, dense), nn.ReLU()]
    return nn.Sequential(features, *layers, nn.Linear(dense, classes))


def normalise(images: Tensor) -> Tensor:
    """uint8 [N, S, S, 3] -> float [N, 3, S, S] of mean 0 and deviation 1 over many photographs."""
    return ((images.float() / 255 - MEAN) / STD).permute(0, 3, 1, 2)


class Scorer(nn.Module):
    """The exported network: uint8 [N, S, S, 3] -> P(class) [N, classes]; a row sums to 1."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(normalise(images)).softmax(1)
