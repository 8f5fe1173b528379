"""Training the bird networks on easy pictures: birds are red, everything else is blue."""

import os
import platform
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_datasets import write_cub_lists
from PIL import Image
from typer.testing import CliRunner

from photosearch.errors import InputError
from train import fit
from train.__main__ import app
from train.data import cifar10, cub, talk, tiny_imagenet
from train.export import export
from train.networks import classic as talks_network
from train.networks.bird32 import Scorer, compute_logits
from train.recipes import best32, bird32, classic
from train.tool import Card, Model

pytestmark = pytest.mark.usefixtures("in_float32")
ROOT = Path(__file__).parents[2]
TINY = classic.ClassicSettings(epochs=4, batch_size=16)
TALKS = {"FILTERS": talks_network.FILTERS, "HIDDEN": talks_network.HIDDEN}
SMALL = {"FILTERS": 8, "HIDDEN": 64}  # red from blue needs no 2.2 million weights, whose checkpoints take seconds


def train(settings, part, validation, run, **options):
    """Train the recipe's network on these pictures."""
    validate = bird32.make_validator(validation)
    if isinstance(settings, classic.ClassicSettings):
        classic.train_phase(classic.build(settings), part, settings, run, validate=validate, **options)
    else:
        best32.train_fit(best32.build(settings), part, settings, run, validate=validate, **options)


@pytest.fixture(scope="session", autouse=True)
def _use_one_thread_for_small_batches():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _small_classic():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(talks_network, name, value)
        yield


def test_classic_has_the_talks_2_million_weights(monkeypatch):
    for name, value in TALKS.items():
        monkeypatch.setattr(talks_network, name, value)
    assert sum(w.numel() for w in classic.build(replace(TINY, classes=0.0)).parameters()) == 2_155_010


def draw_picture(rng, target):
    """32 x 32 x 3: red if target is the bird, else blue, with noise."""
    image = rng.integers(0, 60, (32, 32, 3), dtype=np.uint8)
    image[..., 0 if target == cifar10.BIRD else 2] += 150
    return image


def pictures(n, seed=0):
    rng = np.random.default_rng(seed)
    targets = (np.arange(n) % 10).astype(np.uint8)
    source = np.zeros(n, np.uint8)
    source[targets == cifar10.BIRD] = np.arange((targets == cifar10.BIRD).sum()) % 2
    return talk.Pictures(np.stack([draw_picture(rng, t) for t in targets]), targets, source)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A data folder: 5 + 1 batches of 40 CIFAR records, and 12 CUB photographs."""
    data = tmp_path_factory.mktemp("sets")
    (data / cifar10.FOLDER).mkdir()
    names = [name for part in cifar10.PARTS.values() for name in part]
    for seed, name in enumerate(names):
        part = pictures(40, seed)
        records = [bytes([t]) + i.transpose(2, 0, 1).tobytes() for t, i in zip(part.targets, part.images, strict=True)]
        (data / cifar10.FOLDER / f"{name}.bin").write_bytes(b"".join(records))
    folder = data / cub.FOLDER
    (folder / "images" / "001.Auk").mkdir(parents=True)
    rng = np.random.default_rng(9)
    names = [f"001.Auk/Auk_{i:04}.jpg" for i in range(24)]
    for name in names:
        Image.fromarray(draw_picture(rng, cifar10.BIRD)).resize((60, 40)).save(folder / "images" / name)
    write_cub_lists(folder, names, "1 1 9 9", training=18)
    return data


def run(*args, **options):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False, **options)


@pytest.mark.slow
def test_bird_command_trains_exports_and_prints_tables(sets, tmp_path):
    to = tmp_path / "models" / "bird.onnx"

    result = run("bird", "--net", "classic", "--data", sets, "--epochs", 2, "--run", tmp_path / "run", "--to", to)

    assert result.exit_code == 0
    card = Model(to).card
    assert (card.name, card.version, card.labels, card.input_size, card.fit) == (
        "bird-classic", "2", ("bird",), 32, "squash",
    )  # fmt: skip
    assert 0 < card.thresholds["bird"] < 1
    test_birds = len([b for b in cub.birds(sets) if b.part == "test"])
    validation_birds = len([b for b in cub.birds(sets) if b.part == "validation"])
    assert [(r["split"], r["n"], r["positives"]) for r in card.measured] == [
        ("cifar-10 + cub, validation", 40 + validation_birds, 4 + validation_birds),
        ("cifar-10, validation", 40, 4),
        ("cifar-10 + cub, test", 40 + test_birds, 4 + test_birds),
        ("cifar-10, test", 40, 4),
    ]
    assert all(r["tp"] + r["fp"] + r["fn"] + r["tn"] == r["n"] for r in card.measured)
    assert card.details["settings"]["epochs"] == 2
    assert card.details["command"] == "python -m train bird --net classic --epochs 2"
    assert "all five training batches" in card.trained_on
    assert card.details["settings"]["seed"] == 1
    assert "bird-classic 2 on cifar-10, test: 40 pictures" in result.stdout
    assert f"bird-classic 2 on cifar-10 + cub, test: {40 + test_birds} pictures" in result.stdout


@pytest.mark.slow
def test_export_command_gives_same_file_again(sets, tmp_path):
    result = run("bird", "--data", sets, "--epochs", 1, "--run", tmp_path / "run")
    assert result.exit_code == 0

    again = run("export", tmp_path / "run", "--data", sets, "--to", tmp_path / "again.onnx")

    assert again.exit_code == 0
    first, second = Model(tmp_path / "run" / "bird-classic.onnx"), Model(tmp_path / "again.onnx")
    assert first.card == second.card
    np.testing.assert_array_equal(first.score(pictures(7).images), second.score(pictures(7).images))


@pytest.mark.slow
def test_classic_learns_easy_birds(tmp_path):
    train(TINY, pictures(160), pictures(100, seed=1), tmp_path)

    history = torch.load(tmp_path / "best.pt", weights_only=True)["history"]
    assert history[-1]["quality"] > 0.99


def drop_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


@pytest.mark.slow
def test_fit_resumed_equals_uninterrupted_run(tmp_path, monkeypatch):
    part, validation = pictures(64), pictures(40, seed=1)
    train(TINY, part, validation, tmp_path / "whole")
    save = fit._save

    def stop_after_two(run, settings, network, parts, position):
        save(run, settings, network, parts, position)
        if position["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "_save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        train(TINY, part, validation, tmp_path / "cut")
    monkeypatch.undo()

    train(TINY, part, validation, tmp_path / "cut", resume=True)

    whole, cut = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "cut"))
    assert drop_seconds(cut["history"]) == drop_seconds(whole["history"])
    assert [row["epoch"] for row in cut["history"]] == [1, 2, 3, 4]
    assert all(torch.equal(cut["network"][name], value) for name, value in whole["network"].items())
    assert all(torch.equal(cut["average"][name], value) for name, value in whole["average"].items())


@pytest.mark.slow
def test_fit_keeps_best_epoch(tmp_path, monkeypatch):
    qualities = iter([0.8, 0.5, 0.8])  # the first nine epochs are not validated
    monkeypatch.setattr(bird32, "make_validator", lambda validation: lambda network: next(qualities))

    train(replace(TINY, epochs=12), pictures(32), pictures(40, seed=1), tmp_path)

    best, last = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("best", "last"))
    assert (best["epoch"], last["epoch"]) == (10, 12)


@pytest.mark.slow
def test_bird_command_keeps_checkpoint_on_control_c(sets, tmp_path):
    folder = tmp_path / "run"
    program = (
        f"from train.networks import classic; vars(classic).update({SMALL}); from train.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program, "bird", "--data", str(sets), "--epochs", "10000", "--run", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # A test in the background of a shell ignores Ctrl-C, and so would its children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment)
    signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "best.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=120)[1]
    finally:
        process.kill()

    assert process.returncode == 130
    assert "has the best and the last checkpoint, continue with --resume" in stderr
    assert "Traceback" not in stderr
    assert torch.load(folder / "best.pt", weights_only=True)["epoch"] >= 1
    exported = run("export", folder, "--data", sets, "--to", tmp_path / "best.onnx")
    assert exported.exit_code == 0
    assert "training batches 1 to 4" in Model(tmp_path / "best.onnx").card.trained_on


@pytest.mark.slow
def test_fit_refuses_to_overwrite_or_change_a_run(tmp_path):
    train(replace(TINY, epochs=1), pictures(32), pictures(40, seed=1), tmp_path)

    with pytest.raises(InputError, match="already contains a run; continue it with --resume"):
        train(TINY, pictures(32), pictures(40, seed=1), tmp_path)
    with pytest.raises(InputError, match=r"has other settings \(epochs, seed\)"):
        train(replace(TINY, seed=2), pictures(32), pictures(40, seed=1), tmp_path, resume=True)


def test_bird_command_refuses_impossible_options(sets, tmp_path):
    with pytest.raises(InputError, match="no network 'vgg': --net takes one of classic, best32"):
        run("bird", "--net", "vgg", "--data", sets)
    with pytest.raises(InputError, match="--fit selects one of best32's networks"):
        run("bird", "--fit", 1, "--data", sets)
    with pytest.raises(InputError, match="no such checkpoint"):
        run("export", tmp_path, "--data", sets, "--to", tmp_path / "bird.onnx")


@pytest.mark.slow
def test_best32_learns_easy_birds(tmp_path):
    settings = best32.Best32Settings(
        epochs=6, batch_size=20, draws=120, resolution=32, learning_rate=2e-3, average=0.5, backbones=("lite0",)
    )
    train(settings, pictures(220), pictures(100, seed=1), tmp_path)

    state = torch.load(tmp_path / "best.pt", weights_only=True)
    assert state["history"][-1]["quality"] > 0.9
    network = best32.build(settings)
    network.load_state_dict(state["network"])
    logits = compute_logits(Scorer(network, flips=True), pictures(9).images)
    mirrored = compute_logits(Scorer(network, flips=True), pictures(9).images[:, :, ::-1].copy())
    np.testing.assert_allclose(logits, mirrored, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "millions", "frozen_blocks"), [("lite2", 4.8, 4), ("lite0", 3.4, 3)])
def test_best32_starts_from_pretrained_weights(backbone, millions, frozen_blocks):
    settings = best32.Best32Settings(backbones=(backbone,))
    network, other = best32.build(settings), best32.build(replace(settings, seed=2))

    weights = dict(network.named_parameters())
    assert sum(w.numel() for w in weights.values()) / 1e6 == pytest.approx(millions, abs=0.05)
    random = [name for name, weight in other.named_parameters() if not torch.equal(weight, weights[name])]
    assert random == ["last.1.weight", "last.1.bias"]  # all others come from the package
    frozen = {name.split(".")[2] for name, w in weights.items() if "_blocks" in name and not w.requires_grad}
    assert frozen == {str(block) for block in range(frozen_blocks)}
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.slow
def test_best32_export_scores_as_network(tmp_path):
    network = best32.build(best32.Best32Settings(resolution=32))
    card = Card(name="bird-best32", version="1", labels=("bird",), input_size=32)
    scorer = Scorer(network, flips=True)

    assert export(scorer, card, tmp_path / "best32.onnx", half_from=30_000, byte_from=200_000) < 5e-3


@pytest.mark.slow
def test_best32_ignores_errors_of_mixed_pictures(tmp_path):
    settings = best32.Best32Settings(
        epochs=1, draws=120, batch_size=20, cutmix=1.0, resolution=32, backbones=("lite0",)
    )
    train(settings, pictures(220), pictures(100, seed=1), tmp_path / "mixed")
    train(replace(settings, cutmix=0.0), pictures(220), pictures(100, seed=1), tmp_path / "plain")

    mixed, plain = (fit.read(tmp_path / name / fit.LAST)["sampler"]["errors"] for name in ("mixed", "plain"))
    assert {round(w, 6) for w in mixed.tolist()} == {1.0, best32.FIRST_ERROR}  # as before they were seen
    assert len(set(plain.tolist())) > 100


@pytest.mark.slow
def test_best32_fits_have_own_seeds_and_all_score(sets, tmp_path, monkeypatch):
    tiny = best32.Best32Settings(backbones=("lite2", "lite0"), resolution=32, draws=60, batch_size=20)
    monkeypatch.setattr(best32, "SETTINGS", tiny)
    monkeypatch.setattr(tiny_imagenet, "pictures", lambda data: [])

    command = ("bird", "--net", "best32", "--data", sets, "--epochs", 1, "--seed", 3, "--run", tmp_path)
    for more in (("--fit", 2), ("--fit", 1), ("--resume",)):
        result = run(*command, *more)
        assert result.exit_code == 0, result.output
        assert (tmp_path / "bird-best32.onnx").exists() == (more == ("--resume",))

    folders = ("", "fit-2")
    both = [torch.load(tmp_path / f / "best.pt", weights_only=True) for f in folders]
    assert [(b["settings"]["fit"], best32.choose_seed(best32.Best32Settings(**b["settings"]))) for b in both] == [
        (0, 5),
        (1, 6),
    ]
    assert [len({k for k in b["network"] if "_project_conv" in k}) for b in both] == [21, 16]
    model = Model(tmp_path / "bird-best32.onnx")
    assert len(model.card.details["best_epoch"]) == 2
    networks = [best32.load(tmp_path / f) for f in folders]
    scorer = Scorer(*networks, flips=True, **model.card.details["calibration"]).eval()
    with torch.inference_mode():
        expected = scorer(torch.from_numpy(pictures(9).images)).numpy()
    np.testing.assert_allclose(model.score(pictures(9).images), expected, atol=1e-2)

    # Trained together and in order, the networks are the same.
    settings = replace(tiny, epochs=1, seed=3)
    best32.train_fits(settings, sets, tmp_path / "whole", range(2), resume=False, progress=lambda *step: None)
    for folder, one in zip(folders, both, strict=True):
        again = torch.load(tmp_path / "whole" / folder / "best.pt", weights_only=True)["network"]
        assert all(torch.equal(again[name], weight) for name, weight in one["network"].items())
    with pytest.raises(InputError, match="no fit 3: best32 has 2"):
        run(*command, "--fit", 3)
    with pytest.raises(InputError, match="--fit writes no model"):
        run(*command, "--fit", 1, "--to", tmp_path / "one.onnx")
    runs = [replace(tiny, seed=seed, backbones=("lite0",) * 3, fit=one) for seed in (1, 2) for one in range(3)]
    assert [best32.choose_seed(r) for r in runs] == [1, 2, 3, 4, 5, 6]


def test_sampler_draws_small_errors_ten_times_less_often():
    torch.manual_seed(0)
    errors = torch.cat([torch.full((5_000,), 0.001), torch.full((5_000,), 0.9)])

    sampler = best32.Sampler(torch.zeros(10_000, dtype=torch.bool))
    sampler.errors.copy_(errors)
    drawn = sampler.draw(1_000)

    assert len(set(drawn.tolist())) == 1_000
    assert 60 < (drawn < 5_000).sum() < 130  # 1 in 11
    assert sorted(sampler.draw(0).tolist()) == list(range(10_000))


def test_best32_loss_swaps_bird_with_last_class():
    logits = torch.zeros(2, 10)
    logits[0, 9] = logits[1, 2] = 20.0  # certain of the bird, certain of the truck, which has the bird's place
    targets = torch.tensor([cifar10.BIRD, 9])

    assert best32.compute_loss(logits, targets, 0.0).item() < 1e-6
    assert best32.compute_loss(logits, targets.flip(0), 0.0).item() > 19


def test_classic_loss_includes_ten_classes():
    both_outputs, images = classic.build(TINY), torch.zeros(2, 3, 32, 32)
    plain = classic.build(replace(TINY, classes=0.0))
    batch = images, torch.tensor([cifar10.BIRD, 9]), torch.ones(2)
    with torch.no_grad():
        only, both = (classic.compute_loss(n.eval(), batch, 0.5).item() for n in (plain, both_outputs))
    assert torch.equal(plain(images), both_outputs(images))
    assert both == pytest.approx(only + 0.5 * np.log(10), abs=0.1)  # ten classes are still random


def test_help_does_not_import_torch():
    code = "import sys, train.__main__; print([m for m in ('torch', 'onnx', 'pooch') if m in sys.modules])"

    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
    assert re.search("bird .* export", " ".join(run("--help").stdout.split()))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_keep_memory_reuses_freed_memory():
    program = (
        "import resource\n"
        "from train.__main__ import keep_memory\n"
        "keep_memory()\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "many = 40_000_000\n"
        "b'x' * many\n"
        "before = faults()\n"
        "for _ in range(5): b'x' * many\n"
        "print(faults() - before)"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 1_000  # else some 10,000 pages at each of the five
