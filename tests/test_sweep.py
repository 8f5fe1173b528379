"""The search for the bird network's settings: real Optuna, real SQLite, real kills; pictures that are drawn here."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from photosearch.errors import InputError
from train import bird, sweep
from train.__main__ import app

EFFORT = sweep.Effort(pictures=200, validation=100, epochs=1)


def drawn(data: Path, part: str) -> bird.Pictures:
    """In the place of bird.load: pictures of noise, the birds (target 2) brighter. The test part is not to be had."""
    assert part in ("train", "validation")
    rng = np.random.default_rng(len(part))
    targets = rng.integers(0, 10, 300).astype(np.uint8)
    images = rng.integers(0, 120, (300, 32, 32, 3)) + (targets == 2)[:, None, None, None] * 100
    return bird.Pictures(images.astype(np.uint8), targets, (np.arange(300) % 2).astype(np.uint8))


@pytest.fixture
def searched(tmp_path, monkeypatch):
    monkeypatch.setattr(bird, "load", drawn)
    sweep.sweep(tmp_path, tmp_path / "sweep", trials=2, minutes=10, effort=EFFORT)
    return tmp_path / "sweep"


def trials(folder: Path, state: str) -> int:
    with sqlite3.connect(f"file:{folder / 'sweep.db'}?mode=ro", uri=True) as db:
        (count,) = db.execute("select count(*) from trials where state = ?", [state]).fetchone()
    db.close()
    return count


def start(folder: Path, wanted: int) -> subprocess.Popen:
    program = (
        "import sys; from pathlib import Path; from train import bird, sweep; import tests.test_sweep as t\n"
        "bird.load = t.drawn\n"
        f"sweep.sweep(Path(), Path(sys.argv[1]), trials={wanted}, minutes=10, effort=t.EFFORT)\n"
    )
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], cwd=root, env=environment, stdout=subprocess.PIPE, text=True
    )


def test_a_search_that_was_killed_goes_on_where_it_was(tmp_path):
    first = start(tmp_path, 4)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        # Half way: one trial is done, and another one is running.
        if (tmp_path / "sweep.db").exists():
            try:
                if trials(tmp_path, "COMPLETE") and trials(tmp_path, "RUNNING"):
                    break
            except sqlite3.OperationalError:
                pass  # the tables are being made
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    done = trials(tmp_path, "COMPLETE") + trials(tmp_path, "PRUNED")
    assert 1 <= done < 4

    second = start(tmp_path, 4)
    out, _ = second.communicate(timeout=250)
    assert second.returncode == 0
    assert trials(tmp_path, "COMPLETE") + trials(tmp_path, "PRUNED") == 4
    assert trials(tmp_path, "RUNNING") == 0
    assert trials(tmp_path, "FAIL") <= 1
    assert "4 trials" in out


def test_a_search_that_has_its_trials_prints_them_and_fits_nothing(searched, monkeypatch, capsys):
    monkeypatch.setattr(bird, "load", None)
    best = sweep.sweep(Path(), searched, trials=2, minutes=10, effort=EFFORT)
    assert "2 trials, 0 of them stopped early" in capsys.readouterr().out
    assert best == searched / "best.json"


def test_the_first_trial_is_the_network_as_it_is_and_the_best_is_what_train_bird_takes(searched):
    import optuna

    study = optuna.load_study(study_name="bird", storage=f"sqlite:///{searched / 'sweep.db'}")
    plain = bird.NETS["classic"]
    assert study.trials[0].params == {name: getattr(plain, name) for name in sweep.SEARCHED}

    rows = sweep.leaderboard(study)
    assert [row["average_precision"] for row in rows] == sorted((t.value for t in study.trials), reverse=True)
    found = sweep.read(searched / "best.json")
    assert found == {"net": "classic", **rows[0]["settings"]}
    settings = bird.settings_of(found.pop("net"), **found)
    assert {name: getattr(settings, name) for name in sweep.SEARCHED} == rows[0]["settings"]
    assert sum(p.numel() for p in bird.build(settings).parameters()) == rows[0]["parameters"]
    told = json.loads((searched / "best.json").read_text())["found"]["validation"]
    assert set(told) == {"trial", "parameters", "average_precision", "threshold", "precision", "recall"}


def test_a_search_keeps_to_the_effort_that_it_was_begun_with(searched):
    with pytest.raises(InputError, match="begun with pictures 200, validation 100, epochs 1, seed 0"):
        sweep.sweep(Path(), searched, trials=3, minutes=10, effort=sweep.Effort(pictures=100))


def test_two_searches_do_not_share_a_folder(tmp_path):
    import filelock

    with filelock.FileLock(tmp_path / "sweep.lock"), pytest.raises(InputError, match="another sweep runs there"):
        sweep.sweep(Path(), tmp_path, trials=1, minutes=10, effort=EFFORT)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"settings": {"no_such": 1}}', '{"settings": {"epochs": "20"}}', '{"settings": [1]}'],
)
def test_a_config_that_no_search_wrote_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "best.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        sweep.read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_train_bird_takes_the_config_and_what_is_typed_beside_it(tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr(bird, "train", lambda settings, *rest, **more: taken.append(settings))
    path = tmp_path / "best.json"
    path.write_text('{"settings": {"net": "classic", "filters": 16, "hidden": 128, "dropout": 0, "epochs": 7}}')
    result = CliRunner().invoke(app, ["bird", "--config", str(path), "--seed", "3", "--data", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert taken == [bird.settings_of("classic", filters=16, hidden=128, dropout=0, epochs=7, seed=3)]
