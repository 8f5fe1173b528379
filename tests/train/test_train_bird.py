"""The bird networks' training, on pictures so easy that seconds are enough: birds are red, all else is blue."""

import functools
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
from PIL import Image
from sets import cub_lists
from typer.testing import CliRunner

from photosearch.errors import InputError
from train import fit, measure
from train.__main__ import app
from train.data import cifar10, cub, talk, tiny_imagenet
from train.export import export
from train.networks.bird32 import Scorer, compute_logits
from train.recipes import best32, classic
from train.tool import Card, Model

ROOT = Path(__file__).parents[2]
TINY = classic.Settings(epochs=4, batch_size=16)


def teach(settings, part, validation, run, **how):
    """The recipe's own network, on these pictures."""
    recipe = classic if isinstance(settings, classic.Settings) else best32
    judge = measure.judge_on(validation) if validation else None
    recipe.teach(recipe.build(settings), part, settings, run, judge=judge, **how)


@pytest.fixture(scope="session", autouse=True)
def _two_threads_fight_over_batches_of_16():
    torch.set_num_threads(1)


def coloured(rng, target):
    """32 x 32 x 3: red where target is the bird, blue else, with noise."""
    image = rng.integers(0, 60, (32, 32, 3), dtype=np.uint8)
    image[..., 0 if target == cifar10.BIRD else 2] += 150
    return image


def pictures(n, seed=0):
    rng = np.random.default_rng(seed)
    targets = (np.arange(n) % 10).astype(np.uint8)
    source = np.zeros(n, np.uint8)
    source[targets == cifar10.BIRD] = np.arange((targets == cifar10.BIRD).sum()) % 2
    return talk.Pictures(np.stack([coloured(rng, t) for t in targets]), targets, source)


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
        Image.fromarray(coloured(rng, cifar10.BIRD)).resize((60, 40)).save(folder / "images" / name)
    cub_lists(folder, names, "1 1 9 9", training=18)
    return data


def run(*args, **options):
    return CliRunner().invoke(app, [str(a) for a in args], catch_exceptions=False, **options)


@pytest.mark.slow
def test_the_command_trains_exports_and_prints_the_table_of_the_whole_and_of_cifar(sets, tmp_path):
    to = tmp_path / "models" / "bird.onnx"

    said = run("bird", "--net", "classic", "--data", sets, "--epochs", 2, "--run", tmp_path / "run", "--to", to)

    assert said.exit_code == 0
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
    assert "cifar-10, test: 40 pictures, 4 birds" in said.stdout
    assert f"cifar-10 + cub, test: {40 + test_birds} pictures, {4 + test_birds} birds" in said.stdout


@pytest.mark.slow
def test_a_run_can_be_exported_again_and_gives_the_same_file(sets, tmp_path):
    said = run("bird", "--data", sets, "--epochs", 1, "--run", tmp_path / "run")
    assert said.exit_code == 0

    again = run("export", tmp_path / "run", "--data", sets, "--to", tmp_path / "again.onnx")

    assert again.exit_code == 0
    first, second = Model(tmp_path / "run" / "bird-classic.onnx"), Model(tmp_path / "again.onnx")
    assert first.card == second.card
    np.testing.assert_array_equal(first.score(pictures(7).images), second.score(pictures(7).images))


@pytest.mark.slow
def test_easy_birds_are_learned(tmp_path):
    teach(TINY, pictures(160), pictures(100, seed=1), tmp_path)

    history = torch.load(tmp_path / "best.pt", weights_only=True)["history"]
    assert history[-1]["quality"] > 0.99


def without_seconds(history):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


@pytest.mark.slow
def test_a_run_that_was_stopped_and_resumed_is_the_run_that_was_not_stopped(tmp_path, monkeypatch):
    part, validation = pictures(64), pictures(40, seed=1)
    teach(TINY, part, validation, tmp_path / "whole")
    save = fit._save

    def stop_after_two(run, settings, network, parts, state):
        save(run, settings, network, parts, state)
        if state["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(fit, "_save", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        teach(TINY, part, validation, tmp_path / "cut")
    monkeypatch.undo()

    teach(TINY, part, validation, tmp_path / "cut", resume=True)

    whole, cut = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "cut"))
    assert without_seconds(cut["history"]) == without_seconds(whole["history"])
    assert [row["epoch"] for row in cut["history"]] == [1, 2, 3, 4]
    assert all(torch.equal(cut["network"][name], value) for name, value in whole["network"].items())
    assert all(torch.equal(cut["average"][name], value) for name, value in whole["average"].items())


@pytest.mark.slow
def test_the_best_epoch_is_kept_not_the_last(tmp_path, monkeypatch):
    qualities = iter([0.8, 0.5, 0.8])  # the first nine epochs are not judged
    monkeypatch.setattr(measure, "judge_on", lambda validation: lambda network: next(qualities))

    teach(replace(TINY, epochs=12), pictures(32), pictures(40, seed=1), tmp_path)

    best, last = (torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("best", "last"))
    assert (best["epoch"], last["epoch"]) == (10, 12)


@pytest.mark.slow
def test_control_c_leaves_the_best_checkpoint_and_says_how_to_go_on(sets, tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "train", "bird", "--data", str(sets), "--epochs", "10000", "--run", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # Tests that a shell runs in the background ignore Ctrl-C, and so would their children.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env=environment)
    signal.signal(signal.SIGINT, before)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "best.pt").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=120)[1]
    finally:
        process.kill()

    assert process.returncode == 130
    assert "keeps the best and the last checkpoint, go on with --resume" in said
    assert "Traceback" not in said
    assert torch.load(folder / "best.pt", weights_only=True)["epoch"] >= 1
    exported = run("export", folder, "--data", sets, "--to", tmp_path / "best.onnx")
    assert exported.exit_code == 0
    assert "training batches 1 to 4" in Model(tmp_path / "best.onnx").card.trained_on


@pytest.mark.slow
def test_a_run_is_not_overwritten_nor_resumed_with_other_settings(tmp_path):
    teach(replace(TINY, epochs=1), pictures(32), pictures(40, seed=1), tmp_path)

    with pytest.raises(InputError, match="holds a run already; go on with --resume"):
        teach(TINY, pictures(32), pictures(40, seed=1), tmp_path)
    with pytest.raises(InputError, match="was begun with another epochs, seed"):
        teach(replace(TINY, seed=2), pictures(32), pictures(40, seed=1), tmp_path, resume=True)


def test_what_can_not_be_done_is_said_in_a_line(sets, tmp_path):
    with pytest.raises(InputError, match="no network 'vgg': --net takes one of classic, best32"):
        run("bird", "--net", "vgg", "--data", sets)
    with pytest.raises(InputError, match="--fit teaches one of best32's networks"):
        run("bird", "--fit", 1, "--data", sets)
    with pytest.raises(InputError, match="no such checkpoint"):
        run("export", tmp_path, "--data", sets, "--to", tmp_path / "bird.onnx")


@pytest.mark.slow
def test_the_strong_net_learns_with_ten_classes(tmp_path):
    settings = best32.Settings(epochs=12, batch_size=20, draws=120, resolution=32, learning_rate=2e-3, average=0.5)
    teach(settings, pictures(220), pictures(100, seed=1), tmp_path)

    state = torch.load(tmp_path / "best.pt", weights_only=True)
    assert state["history"][-1]["quality"] > 0.9
    network = best32.build(settings)
    network.load_state_dict(state["network"])
    logits = compute_logits(Scorer(network, flips=True), pictures(9).images)
    mirrored = compute_logits(Scorer(network, flips=True), pictures(9).images[:, :, ::-1].copy())
    np.testing.assert_allclose(logits, mirrored, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "millions", "kept_blocks"), [("lite2", 4.8, 4), ("lite0", 3.4, 3)])
def test_the_strong_net_begins_with_pretrained_weights(backbone, millions, kept_blocks):
    settings = best32.Settings(backbones=(backbone,))
    network, other = best32.build(settings), best32.build(replace(settings, seed=2))

    weights = dict(network.named_parameters())
    assert sum(w.numel() for w in weights.values()) / 1e6 == pytest.approx(millions, abs=0.05)
    drawn = [name for name, weight in other.named_parameters() if not torch.equal(weight, weights[name])]
    assert drawn == ["last.1.weight", "last.1.bias"]  # by the seed; all else comes from the package
    kept = {name.split(".")[2] for name, w in weights.items() if "_blocks" in name and not w.requires_grad}
    assert kept == {str(block) for block in range(kept_blocks)}
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.slow
def test_the_strong_net_is_exported_as_it_scores(tmp_path):
    network = best32.build(best32.Settings(resolution=32))
    card = Card(name="bird-best32", version="1", labels=("bird",), input_size=32)
    scorer = Scorer(network, flips=True)

    assert export(scorer, card, tmp_path / "best32.onnx", half_from=30_000, byte_from=200_000) < 5e-3


@pytest.mark.slow
def test_what_was_mixed_tells_nothing_of_how_wrong_its_pictures_were(tmp_path):
    settings = best32.Settings(epochs=2, draws=120, batch_size=20, cut=1.0, resolution=32, backbones=("lite0",))
    teach(settings, pictures(220), pictures(100, seed=1), tmp_path / "mixed")
    teach(replace(settings, cut=0.0), pictures(220), pictures(100, seed=1), tmp_path / "plain")

    mixed, plain = (fit.read(tmp_path / name / fit.LAST)["draws"]["wrong"] for name in ("mixed", "plain"))
    assert {round(w, 6) for w in mixed.tolist()} == {1.0, best32.FIRST_WRONG}  # as before they were seen
    assert len(set(plain.tolist())) > 100


@pytest.mark.slow
def test_fits_have_seeds_and_backbones_of_their_own_and_all_score(sets, tmp_path, monkeypatch):
    tiny = best32.Settings(backbones=("lite2", "lite0"), resolution=32, draws=60, batch_size=20)
    monkeypatch.setattr(best32, "Settings", functools.partial(replace, tiny))
    monkeypatch.setattr(tiny_imagenet, "pictures", lambda data: [])

    said = run("bird", "--net", "best32", "--data", sets, "--epochs", 1, "--seed", 3, "--run", tmp_path)

    assert said.exit_code == 0, said.output
    folders = ("", "fit-2")
    both = [torch.load(tmp_path / f / "best.pt", weights_only=True) for f in folders]
    assert [(b["settings"]["fit"], best32.seed_of(best32.Settings(**b["settings"]))) for b in both] == [(0, 5), (1, 6)]
    assert [len({k for k in b["network"] if "_project_conv" in k}) for b in both] == [21, 16]
    model = Model(tmp_path / "bird-best32.onnx")
    assert len(model.card.details["best_epoch"]) == 2
    networks = [best32.load(tmp_path / f) for f in folders]
    scorer = Scorer(*networks, flips=True, **model.card.details["calibration"]).eval()
    with torch.inference_mode():
        expected = scorer(torch.from_numpy(pictures(9).images)).numpy()
    np.testing.assert_allclose(model.score(pictures(9).images), expected, atol=1e-2)

    # Each by itself, the second before the first, is the same run.
    apart = ("bird", "--net", "best32", "--data", sets, "--epochs", 1, "--seed", 3, "--run", tmp_path / "apart")
    for more in (("--fit", 2), ("--fit", 1), ("--resume",)):
        said = run(*apart, *more)
        assert said.exit_code == 0, said.output
        assert (tmp_path / "apart" / "bird-best32.onnx").exists() == (more == ("--resume",))
    np.testing.assert_array_equal(
        Model(tmp_path / "apart" / "bird-best32.onnx").score(pictures(9).images), model.score(pictures(9).images)
    )
    with pytest.raises(InputError, match="no fit 3: best32 has 2"):
        run(*apart, "--fit", 3)
    with pytest.raises(InputError, match="--fit writes no model"):
        run(*apart, "--fit", 1, "--to", tmp_path / "one.onnx")
    runs = [replace(tiny, seed=seed, backbones=("lite0",) * 3, fit=one) for seed in (1, 2) for one in range(3)]
    assert [best32.seed_of(r) for r in runs] == [1, 2, 3, 4, 5, 6]


def test_what_was_surely_right_is_drawn_ten_times_more_rarely():
    torch.manual_seed(0)
    wrong = torch.cat([torch.full((5_000,), 0.001), torch.full((5_000,), 0.9)])

    draws = best32.Draws(torch.zeros(10_000, dtype=torch.bool))
    draws.wrong.copy_(wrong)
    drawn = draws.order(1_000)

    assert len(set(drawn.tolist())) == 1_000
    assert 60 < (drawn < 5_000).sum() < 130  # 1 in 11
    assert sorted(draws.order(0).tolist()) == list(range(10_000))


def test_the_loss_of_ten_classes_lets_the_bird_change_places_with_the_last():
    logits = torch.zeros(2, 10)
    logits[0, 9] = logits[1, 2] = 20.0  # sure of the bird, sure of the truck, which took the bird's place
    targets = torch.tensor([cifar10.BIRD, 9])

    assert best32.compute_loss(logits, targets, 0.0).item() < 1e-6
    assert best32.compute_loss(logits, targets.flip(0), 0.0).item() > 19


def test_the_loss_of_bird_or_not_may_ask_for_the_ten_classes_too():
    asked, images = classic.build(TINY), torch.zeros(2, 3, 32, 32)
    plain = classic.build(replace(TINY, classes=0.0))
    batch = images, torch.tensor([cifar10.BIRD, 9]), torch.ones(2)
    with torch.no_grad():
        only, both = (classic.compute_loss(n.eval(), batch, 0.5).item() for n in (plain, asked))
    assert torch.equal(plain(images), asked(images))
    assert both == pytest.approx(only + 0.5 * np.log(10), abs=0.1)  # of ten classes it knows nothing yet


def test_the_help_imports_no_torch():
    code = "import sys, train.__main__; print([m for m in ('torch', 'onnx', 'pooch') if m in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"
    assert re.search("bird .* export", " ".join(run("--help").stdout.split()))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_memory_that_was_freed_is_not_taken_from_the_kernel_again():
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
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert int(said.stdout) < 1_000  # else some 10,000 pages at each of the five
