"""The talk's network for 32x32 pixels: two stages of convolution and 2x2 max-pooling, then two dense layers."""

import torch
from torch import Tensor, nn

MEAN = (0.4914, 0.4822, 0.4465)  # of CIFAR-10's training pictures, red, green, blue, 0..1 ...
STD = (0.2470, 0.2435, 0.2616)  # ... both to four digits
FILTERS, HIDDEN = 32, 512  # of the first convolution (the others have twice as many); of the dense layer


class Normalise(nn.Module):
    """float [N, 3, H, W] in 0..255 -> the same, of mean 0 and deviation 1 over CIFAR-10."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None] * 255)
        self.register_buffer("std", torch.tensor(STD)[:, None, None] * 255)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


class Classic(nn.Module):
    """float [N, 3, 32, 32] in 0..255 -> logits [N, 2], not bird and bird. 2.2 million weights.

    ReLU follows max-pooling: the same numbers for a quarter of the work. classes: outputs of a second last layer, which
    only `answer` returns: for training, not for export.
    """

    def __init__(self, dropout: float, classes: int = 0):
        super().__init__()
        self.normalise = Normalise()
        self.layers = nn.Sequential(
            *(nn.Conv2d(3, FILTERS, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Conv2d(FILTERS, 2 * FILTERS, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(2 * FILTERS, 2 * FILTERS, 3, padding=1), nn.MaxPool2d(2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(2 * FILTERS * 8 * 8, HIDDEN), nn.ReLU(), nn.Dropout(dropout)),
            nn.Linear(HIDDEN, 2),
        )
        self.classes = nn.Linear(HIDDEN, classes) if classes else None

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(self.normalise(x))

    def answer(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """-> the output of `forward`, and logits [N, classes] if there are any."""
        hidden = self.layers[:-1](self.normalise(x))
        return self.layers[-1](hidden), None if self.classes is None else self.classes(hidden)
