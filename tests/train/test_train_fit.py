"""The training loop, on a network of one weight."""

import pytest
import torch
from torch import nn

from train import fit
from train.recipes import classic

SETTINGS = classic.ClassicSettings(epochs=4, learning_rate=0.1, weight_decay=0.0, average=0.0)


def train(run=None, state=None, stop_after=None, **options):
    """Move one weight from 0 towards 3 in four steps per epoch -> the network."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)

    def batches(epoch):
        if epoch == stop_after:
            raise KeyboardInterrupt
        for _ in range(4):
            if state:
                state["noise"].weight.data += torch.rand(())
            yield torch.ones(1, 1)

    def compute_loss(network, x):
        return (network(x).float() - 3).square().mean()

    return fit.fit(network, batches, compute_loss, SETTINGS, steps=4, schedule=fit.cosine_schedule(0.25), run=run,
                   state=state, **options)  # fmt: skip


def test_cosine_schedule_warms_up_and_falls_to_zero():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = fit.cosine_schedule(0.25)(optimizer, 16)

    rates = []
    for _ in range(17):
        rates.append(round(schedule.get_last_lr()[0], 3))
        optimizer.step()
        schedule.step()

    assert [rates[i] for i in (0, 2, 4, 8, 12, 16)] == [0.0, 0.481, 0.854, 0.5, 0.146, 0.0]


def test_fit_lowers_loss_and_reports_each_step():
    reports = []

    network = train(progress=lambda *report: reports.append(report))

    assert 0.5 < network.weight.item() < 3
    assert not network.training
    assert reports == [("steps", i, 16) for i in range(1, 17)]


def test_fit_resumes_state_of_other_parts(tmp_path):
    def noise():
        layer = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(layer.weight)
        return {"noise": layer}

    whole, cut = noise(), noise()
    train(tmp_path / "whole", whole)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "cut", cut, stop_after=2)
    again = noise()

    network = train(tmp_path / "cut", again, resume=True)

    assert torch.equal(again["noise"].weight, whole["noise"].weight)
    assert torch.equal(network.weight, read_weight(tmp_path / "whole"))


def read_weight(run):
    return fit.read(run / fit.LAST)["network"]["weight"]
