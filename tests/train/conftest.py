"""What the tests that teach share."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def in_float32() -> Iterator[None]:
    """For networks that are taught in bfloat16, which a processor without it computes many times more slowly.

    It stays in test_train_fit.py, test_train_depthwise.py and where a process teaches.
    """
    autocast = torch.autocast
    with pytest.MonkeyPatch.context() as patch:  # its own: a test may undo its `monkeypatch`
        patch.setattr(torch, "autocast", lambda *kind, **options: autocast(*kind, **{**options, "enabled": False}))
        yield
