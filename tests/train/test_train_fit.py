"""The training loop, on a network of one weight."""

import pytest
import torch
from torch import nn

from train import fit
from train.recipes import classic

SETTINGS = classic.Settings(epochs=4, learning_rate=0.1, weight_decay=0.0, average=0.0)


def teach(run=None, besides=None, stop_after=None, **how):
    """Move one weight from 0 towards 3, four steps an epoch -> the network."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)

    def batches(epoch):
        if epoch == stop_after:
            raise KeyboardInterrupt
        for _ in range(4):
            if besides:
                besides["seen"].weight.data += torch.rand(())
            yield torch.ones(1, 1)

    def loss_of(network, x):
        return (network(x).float() - 3).square().mean()

    return fit.fit(network, batches, loss_of, SETTINGS, steps=4, schedule=fit.fall_along_cosine(0.25), run=run,
                   besides=besides, **how)  # fmt: skip


def test_the_rate_climbs_and_falls_to_nothing():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = fit.fall_along_cosine(0.25)(optimizer, 16)

    rates = []
    for _ in range(17):
        rates.append(round(schedule.get_last_lr()[0], 3))
        optimizer.step()
        schedule.step()

    assert [rates[i] for i in (0, 2, 4, 8, 12, 16)] == [0.0, 0.481, 0.854, 0.5, 0.146, 0.0]


def test_a_weight_moves_to_where_its_loss_is_least_and_each_step_is_told():
    told = []

    network = teach(tell=lambda *what: told.append(what))

    assert 0.5 < network.weight.item() < 3
    assert not network.training
    assert told == [("steps", i, 16) for i in range(1, 17)]


def test_what_else_has_a_state_goes_on_with_the_run(tmp_path):
    def seen():
        layer = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(layer.weight)
        return {"seen": layer}

    whole, cut = seen(), seen()
    teach(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        teach(tmp_path / "cut", cut, stop_after=2)
    again = seen()

    network = teach(tmp_path / "cut", again, resume=True)

    assert torch.equal(again["seen"].weight, whole["seen"].weight)
    assert torch.equal(network.weight, fit_weight(tmp_path / "whole"))


def fit_weight(run):
    return fit.read(run / fit.LAST)["network"]["weight"]
