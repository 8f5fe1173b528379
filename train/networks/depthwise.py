"""A depthwise convolution with fast gradients on a CPU.

oneDNN, which torch calls, has a fast gradient for the weights of 3x3 kernels and a slow one for 5x5. The gradient of a
5x5 kernel is that of four 3x3 kernels, shifted by two pixels each, which agree where they overlap. The gradient for the
pixels is a convolution with the rotated kernel, which is fast in bfloat16 too; with a stride it is computed in float32.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Pads = tuple[int, int, int, int]  # pixels of zeros: left, right, top, bottom


class Depthwise(nn.Module):
    """layer: a convolution of EfficientNet-Lite with one kernel, 3x3 or 5x5, per channel, and no bias.

    Under autocast it uses autocast's dtype. On a GPU, without gradients and in an export it is the original layer.
    """

    def __init__(self, layer: nn.Conv2d):
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_grad_enabled() or torch.jit.is_tracing():
            return self.layer(x)
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        pads = tuple(getattr(self.layer.static_padding, "padding", (0, 0, 0, 0)))
        return _ByChannel.apply(x.to(dtype), self.layer.weight.to(dtype), self.layer.stride[0], pads)


class _ByChannel(torch.autograd.Function):
    """x: [N, C, H, W]. weight: [C, 1, K, K], K odd. -> [N, C, H', W']."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, pads: Pads) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.pads = stride, pads
        if _keeps_size(weight, stride, pads):
            return F.conv2d(x, weight, padding=pads[0], groups=len(weight))
        return F.conv2d(pad(x, pads), weight, stride=stride, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (x, weight), stride, pads = ctx.saved_tensors, ctx.stride, ctx.pads
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        wide = pad(x, pads)
        of_x = _of_x(gradient, wide, weight, stride, pads) if ctx.needs_input_grad[0] else None
        of_weight = _of_weight(gradient, wide, weight, stride) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, None, None


def pad(x: Tensor, pads: Pads) -> Tensor:
    """[N, C, H, W] -> the same with zeros around it, channels last: F.pad fills bfloat16 slowly."""
    (n, c, h, w), (left, right, top, bottom) = x.shape, pads
    wide = x.new_zeros((n, h + top + bottom, w + left + right, c)).permute(0, 3, 1, 2)
    wide[:, :, top : top + h, left : left + w] = x
    return wide


def _keeps_size(weight: Tensor, stride: int, pads: Pads) -> bool:
    return stride == 1 and pads == (weight.shape[2] // 2,) * 4


def _of_x(gradient: Tensor, wide: Tensor, weight: Tensor, stride: int, pads: Pads) -> Tensor:
    if _keeps_size(weight, stride, pads):
        return F.conv2d(gradient, weight.flip(2, 3), padding=pads[0], groups=len(weight))
    of_wide = _gradients(gradient.float(), wide.float(), weight.float(), stride, of_weight=False)
    left, right, top, bottom = pads
    inside = of_wide[:, :, top : of_wide.shape[2] - bottom, left : of_wide.shape[3] - right]
    return inside.to(wide.dtype, memory_format=torch.channels_last)


def _of_weight(gradient: Tensor, wide: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Piece by piece: the kernel's rows i to i + 2 and columns j to j + 2."""
    height, width = ((side - 1) * stride + 3 for side in gradient.shape[2:])
    whole, piece = torch.empty_like(weight), weight[:, :, :3, :3].contiguous()
    starts = range(0, weight.shape[2] - 2, 2)
    for i, j in ((i, j) for i in starts for j in starts):
        part = wide[:, :, i : i + height, j : j + width].contiguous(memory_format=torch.channels_last)
        whole[:, :, i : i + 3, j : j + 3] = _gradients(gradient, part, piece, stride, of_weight=True)
    return whole


def _gradients(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, *, of_weight: bool) -> Tensor:
    """torch's gradient of a convolution without padding, of the weight or of x."""
    wanted = [not of_weight, of_weight, False]
    strides = [stride, stride]
    both = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, strides, [0, 0], [1, 1], False, [0, 0], len(weight), wanted
    )
    return both[of_weight]
