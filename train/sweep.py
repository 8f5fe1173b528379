"""Searches the bird network's structure and settings: "we might have to train 100 networks to find the best one".

    python -m train sweep --trials 20 --minutes 60 --data DIR
    python -m train bird --config .runs/sweep/best.json --data DIR

Each trial fits a `classic` network of other proportions and settings on a part of bird.py's training pictures, for a
few epochs, and is judged by the average precision on a part of its validation pictures; the test part is never
loaded. Optuna (Akiba and others, 2019, https://arxiv.org/abs/1907.10902) proposes the next (TPE) and stops those that
are behind the median of the earlier ones. All is kept in SQLite: whatever ends the search costs the trial that ran,
and that one is tried again. The first trial is `classic` as it is, so that there is something to beat.
"""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import numpy.typing as npt
import optuna
import scipy.special
import torch
from optuna.trial import TrialState
from rich.console import Console
from rich.table import Table

from photosearch.errors import InputError
from train import bird

SEARCHED = ("filters", "hidden", "dropout", "learning_rate", "batch_size", "weight_decay", "label_smoothing",
            "rotation_degrees", "shift", "blur")  # fmt: skip

SETTINGS_SHOWN = 3  # of the best trials; all are in the study


@dataclass(frozen=True, slots=True)
class Effort:
    """What a trial costs; one search keeps to one. pictures, validation: how many of bird.py's parts are drawn."""

    pictures: int = 8_000
    validation: int = 4_000
    epochs: int = 3
    seed: int = 0


def sweep(data: Path, folder: Path, *, trials: int, minutes: float, effort: Effort | None = None) -> Path:
    """Search until there are `trials` trials in all, or `minutes` have passed: the trial that runs then is finished.

    Writes folder/sweep.db and folder/best.json, and prints the leaderboard, after Ctrl-C too. Returns best.json.
    Raises InputError where another search runs in the folder, or one was begun with another effort.
    """
    effort = effort or Effort()
    folder.mkdir(parents=True, exist_ok=True)
    best = folder / "best.json"
    try:
        with filelock.FileLock(folder / "sweep.lock", timeout=0):
            study = _study(folder, effort)
            left = trials - len(_ended(study))
            try:
                if left > 0:
                    parts = [_drawn(bird.load(data, "train"), effort.pictures, effort.seed)]
                    parts.append(_drawn(bird.load(data, "validation"), effort.validation, effort.seed))
                    objective = _objective(*parts, effort)
                    study.optimize(objective, n_trials=left, timeout=minutes * 60)
            finally:
                show(study)
                if study.get_trials(states=(TrialState.COMPLETE,)):
                    write(best, study)
    except filelock.Timeout:
        raise InputError(f"{folder}: another sweep runs there; wait for it, or give another --to") from None
    return best


def suggest(trial: optuna.Trial) -> dict[str, Any]:
    """The search space."""
    return {
        "filters": trial.suggest_categorical("filters", [16, 24, 32, 48]),
        "hidden": trial.suggest_categorical("hidden", [128, 256, 512, 1024]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6, step=0.1),
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 4e-3, log=True),
        "batch_size": trial.suggest_categorical("batch_size", [64, 128, 256]),
        "weight_decay": trial.suggest_float("weight_decay", 0.0, 0.1, step=0.01),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.1, step=0.02),
        "rotation_degrees": trial.suggest_float("rotation_degrees", 0.0, 15.0, step=2.5),
        "shift": trial.suggest_int("shift", 0, 4),
        "blur": trial.suggest_float("blur", 0.0, 0.5, step=0.125),
    }


def _study(folder: Path, effort: Effort) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = f"sqlite:///{folder / 'sweep.db'}"
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4)
    study = optuna.create_study(
        storage=storage, study_name="bird", direction="maximize", load_if_exists=True, pruner=pruner
    )
    # Seeded by how far the search is: a search that goes on must not draw its first numbers again.
    study.sampler = optuna.samplers.TPESampler(seed=effort.seed + 1_000 * len(study.trials), n_startup_trials=6)
    begun = study.user_attrs.get("effort")
    if begun not in (None, asdict(effort)):
        words = ", ".join(f"{k} {v}" for k, v in begun.items())
        raise InputError(f"{folder}: this search was begun with {words}; give the same, or another --to")
    if begun is None:
        study.set_user_attr("effort", asdict(effort))
        plain = asdict(bird.NETS["classic"])
        study.enqueue_trial({name: plain[name] for name in SEARCHED})
    for trial in study.get_trials(states=(TrialState.RUNNING,)):  # the process that ran it was killed
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return study


def _drawn(pictures: bird.Pictures, n: int, seed: int) -> bird.Pictures:
    """n of the pictures, the same ones in each trial."""
    chosen = np.sort(np.random.default_rng(seed).permutation(len(pictures.images))[:n])
    return bird.Pictures(pictures.images[chosen], pictures.targets[chosen], pictures.source[chosen])


def _objective(fitted: bird.Pictures, validation: bird.Pictures, effort: Effort) -> Callable[[optuna.Trial], float]:
    """One trial: fit a network, tell Optuna its average precision after each epoch. Returns the last one."""
    weights = bird.composition(validation)

    def objective(trial: optuna.Trial) -> float:
        start = time.monotonic()
        settings = bird.settings_of("classic", **suggest(trial), epochs=effort.epochs, seed=effort.seed)
        network = bird.build(settings)
        scorer = bird.Scorer(network)
        trial.set_user_attr("parameters", sum(p.numel() for p in network.parameters()))
        optimizer = torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay)
        images, targets = torch.from_numpy(fitted.images), torch.from_numpy(fitted.targets).long()
        batches = max(len(images) // settings.batch_size, 1)
        for epoch in range(effort.epochs):
            network.train()
            for step, chosen in enumerate(torch.randperm(len(images)).tensor_split(batches)):
                done = (epoch + step / batches) / effort.epochs
                optimizer.param_groups[0]["lr"] = settings.learning_rate * (1 - done)
                x = bird.augmented(images[chosen].permute(0, 3, 1, 2).float(), settings)
                with torch.autocast("cpu", torch.bfloat16):
                    logits = network(x.contiguous(memory_format=torch.channels_last)).float()
                loss = bird.loss_of(logits, targets[chosen], settings.label_smoothing)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            scores = bird.logits_of(scorer, validation.images)
            quality = bird.average_precision(scores, validation.birds, weights)
            trial.report(quality, epoch)
            trial.set_user_attr("seconds", round(time.monotonic() - start, 1))
            if trial.should_prune():
                raise optuna.TrialPruned
        for name, value in best_f1(scores, validation).items():
            trial.set_user_attr(name, value)
        return quality

    return objective


def best_f1(logits: npt.NDArray[np.float32], validation: bird.Pictures) -> dict[str, float]:
    """threshold, precision, recall where F1 is highest: a net of a few epochs is far from any precision one wants."""
    recall, precision, at = bird.curve(logits, validation.birds, bird.composition(validation))
    best = (recall * precision / np.maximum(recall + precision, 1e-9)).argmax()
    found = {"threshold": scipy.special.expit(at[best]), "precision": precision[best], "recall": recall[best]}
    return {name: round(float(value), 4) for name, value in found.items()}


def _ended(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def leaderboard(study: optuna.Study) -> list[dict[str, Any]]:
    """The trials that ended, the best first: those that ran to their end before those that were stopped early."""
    rows = []
    for trial in _ended(study):
        complete = trial.state == TrialState.COMPLETE
        told = {k: trial.user_attrs.get(k) for k in ("parameters", "seconds", "threshold", "precision", "recall")}
        quality = trial.value if complete else max(trial.intermediate_values.values(), default=0.0)
        rows.append({"trial": trial.number, "complete": complete, "average_precision": quality, **told,
                     "settings": trial.params})  # fmt: skip
    return sorted(rows, key=lambda r: (not r["complete"], -r["average_precision"]))


def show(study: optuna.Study) -> None:
    rows, console = leaderboard(study), Console()
    table = Table(title="validation only; precision and recall where the trial's F1 is highest", title_justify="left")
    for column in ("", "trial", "parameters", "seconds", "average precision", "precision", "recall"):
        table.add_column(column, justify="right")
    for place, r in enumerate(rows, 1):
        told = [f"{r['precision']:.3f}", f"{r['recall']:.3f}"] if r["complete"] else ["stopped early", ""]
        table.add_row(str(place), str(r["trial"]), f"{r['parameters']:,}", f"{r['seconds']:.0f}",
                      f"{r['average_precision']:.4f}", *told)  # fmt: skip
    console.print(table)
    for place, r in enumerate(rows[:SETTINGS_SHOWN], 1):
        settings = ", ".join(f"{k} {v:.3g}" for k, v in r["settings"].items())
        console.print(f"{place}. trial {r['trial']}: {settings}", highlight=False, soft_wrap=True)
    console.print(f"{len(rows)} trials, {sum(not r['complete'] for r in rows)} of them stopped early", highlight=False)


def write(path: Path, study: optuna.Study) -> None:
    """The best trial, as `python -m train bird --config` takes it."""
    row = leaderboard(study)[0]
    told = {k: row[k] for k in ("trial", "parameters", "average_precision", "threshold", "precision", "recall")}
    found = {"command": shlex.join(["python", "-m", "train", *sys.argv[1:]]), "trials": len(_ended(study)),
             "effort": study.user_attrs["effort"], "validation": told}  # fmt: skip
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps({"settings": {"net": "classic", **row["settings"]}, "found": found}, indent=1) + "\n")
    aside.replace(path)


def read(path: Path) -> dict[str, Any]:
    """A file that `write` wrote -> the settings in it, by name. Raises InputError."""
    try:
        settings = dict(json.loads(path.read_text(encoding="utf-8"))["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a config that `python -m train sweep` writes: {error}") from None
    return _checked(path, settings)


def _checked(path: Path, settings: Mapping[str, Any]) -> dict[str, Any]:
    plain = {f.name: f.default for f in fields(bird.Settings)}
    for name, value in settings.items():
        kind = type(plain.get(name))
        if name not in plain or not isinstance(value, (int, float) if kind is float else kind):
            raise InputError(f"{path}: {name} = {value!r} is no setting of the bird network")
    return dict(settings)
