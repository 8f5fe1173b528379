"""Augmentation of batches: mirrored, shifted and mixed pictures."""

import pytest
import torch

from train import augment


def test_cut_mix_returns_share_of_own_picture():
    torch.manual_seed(0)
    shares = []
    for _ in range(300):
        mixed, own = augment.cut_mix(torch.zeros(2, 3, 32, 32), torch.ones(2, 3, 32, 32))
        assert mixed.mean().item() == pytest.approx(1 - own, abs=1e-6)
        rows, columns = mixed[0, 0].amax(1), mixed[0, 0].amax(0)
        assert torch.equal(mixed[1, 2], rows[:, None] * columns)  # one rectangle, in every picture and colour
        shares.append(own)
    assert min(shares) < 0.2
    assert max(shares) > 0.95


def test_transform_without_rotation_only_mirrors():
    x = torch.rand(64, 3, 32, 32) * 255

    y = augment.transform(x)

    flipped = [torch.allclose(b, a.flip(2), atol=0.05) for a, b in zip(x, y, strict=True)]
    kept = [torch.allclose(b, a, atol=0.05) for a, b in zip(x, y, strict=True)]
    assert all(a != b for a, b in zip(flipped, kept, strict=True))
    assert 16 < sum(flipped) < 48


def test_transform_shifts_by_whole_pixels():
    torch.manual_seed(0)
    x = torch.zeros(64, 3, 32, 32)
    x[:, :, 16, 16] = 255

    y = augment.transform(x, shift=3)

    brightest = y[:, 0].flatten(1).max(1)
    assert brightest.values.min() > 254
    rows = brightest.indices // 32
    assert (rows.min().item(), rows.max().item()) == (13, 19)
