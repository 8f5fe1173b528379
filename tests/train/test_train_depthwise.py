"""The gradients of a depthwise convolution, compared with torch's."""

import pytest
import torch
from torch import nn

from train.networks.depthwise import Depthwise


def convolution(kernel: int, stride: int, pads: tuple[int, int, int, int], channels: int = 32) -> nn.Conv2d:
    """As in efficientnet-lite-pytorch: padding is a separate layer."""
    layer = nn.Conv2d(channels, channels, kernel, stride, groups=channels, bias=False)
    layer.static_padding = nn.ZeroPad2d(pads)
    layer.forward = lambda x: nn.Conv2d.forward(layer, layer.static_padding(x))
    return layer


def gradients(layer: nn.Module, x: torch.Tensor, weight: nn.Parameter) -> tuple[torch.Tensor, ...]:
    x = x.clone().requires_grad_()
    y = layer(x)
    torch.manual_seed(2)
    return y.float().detach(), *(g.float() for g in torch.autograd.grad(y, (x, weight), torch.randn_like(y)))


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize(
    ("stride", "pads"), [(1, None), (1, (0, 0, 0, 0)), (2, (0, 1, 0, 1)), (2, (1, 2, 1, 2)), (2, (2, 2, 2, 2))]
)
def test_depthwise_gradients_equal_torchs(kernel: int, stride: int, pads: tuple[int, int, int, int] | None) -> None:
    torch.manual_seed(1)
    layer = convolution(kernel, stride, pads or (kernel // 2,) * 4)
    x = torch.randn(3, 32, 12, 9).contiguous(memory_format=torch.channels_last)
    for mine, theirs in zip(
        gradients(Depthwise(layer), x, layer.weight), gradients(layer, x, layer.weight), strict=True
    ):
        assert mine.shape == theirs.shape
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("stride", "pads"), [(1, (2, 2, 2, 2)), (2, (1, 2, 1, 2))])
def test_depthwise_gradients_use_bfloat16_under_autocast(stride: int, pads: tuple[int, int, int, int]) -> None:
    torch.manual_seed(1)
    layer = convolution(5, stride, pads)
    x = torch.randn(3, 32, 8, 8).contiguous(memory_format=torch.channels_last)
    exact = gradients(layer, x, layer.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert Depthwise(layer)(x).dtype == torch.bfloat16
        near = gradients(Depthwise(layer), x, layer.weight)
    for mine, theirs in zip(near, exact, strict=True):
        assert 0 < (mine - theirs).abs().max() < 0.05 * theirs.abs().max()


def test_depthwise_without_gradients_equals_layer() -> None:
    layer = convolution(5, 1, (2, 2, 2, 2))
    x = torch.randn(2, 32, 8, 8)
    with torch.no_grad():
        assert torch.equal(Depthwise(layer)(x), layer(x))
