"""What each option of the command does; those that the files beside this one don't hold stand here.

`claims.py` says how a test claims an option. That none is left out is held at the end.
"""

import csv
import functools
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cli_env import COUNTS, Desk, counts, names, said
from option_coverage import claims, commands, options
from PIL import Image
from toy import photo, toy_card, write_toy
from two_towers import transformers_js

from photosearch import Library
from photosearch.errors import InputError
from photosearch.index import run
from photosearch.index.infer import PhotoOpener
from photosearch.library.database import Database
from photosearch.library.schema import VERSION
from photosearch.metadata import xmp
from photosearch.models import hub
from photosearch.photos.decoders import DecodeOptions

# ---- find, labels, duplicates


@pytest.mark.option("find --paths")
def test_paths_come_alone_a_line_each(desk: Desk) -> None:
    desk.index()
    assert desk.run("find", "red", "--paths").stdout == f"{desk.photos}/2019/white.png\n{desk.photos}/red.jpg\n"


@pytest.mark.option("labels --model")
def test_labels_are_told_of_one_model(desk: Desk) -> None:
    desk.index()
    desk.run("index", desk.photos, "--model", desk.other)
    rows = json.loads(desk.run("labels", "--model", "other", "--json").stdout)
    assert [(row["label"], row["model"]) for row in rows] == [(c, "other") for c in ("red", "green", "blue")]


@pytest.mark.option("duplicates --exact", "duplicates --under")
def test_duplicates_can_be_byte_for_byte_alone_or_of_one_folder(desk: Desk) -> None:
    few = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    picture = Image.fromarray(few).resize((120, 120), Image.Resampling.BICUBIC)
    for name in ("a.png", "a.bmp", "2019/a.tif"):
        picture.save(desk.photos / name)
    (desk.photos / "copy.png").write_bytes((desk.photos / "a.png").read_bytes())
    desk.index()

    def groups(*more: object) -> list[set[str]]:
        told = json.loads(desk.run("duplicates", "--json", *more).stdout)
        return [{os.path.basename(row["path"]) for row in group} for group in told]

    assert groups() == [{"a.png", "a.bmp", "a.tif", "copy.png"}]
    assert groups("--exact") == [{"a.png", "copy.png"}]
    assert groups("--under", desk.photos / "2019") == []


# ---- export, truth import, learn


@pytest.mark.option("export --json", "export --marked", "export --model", "export --short", "export --under")
def test_what_goes_out_to_side_cars_can_be_chosen(desk: Desk) -> None:
    desk.index()
    desk.run("mark", desk.photos / "2019" / "white.png", "--is", "red")

    def written(*more: object) -> list[str]:
        told = json.loads(desk.run("export", "red", "--xmp", "--dry-run", "--json", *more).stdout)
        return sorted(os.path.basename(row["path"]) for row in told["written"])

    assert written() == ["red.jpg.xmp", "white.png.xmp"]
    assert written("--marked") == ["white.png.xmp"]
    assert written("--short") == ["red.xmp", "white.xmp"]
    assert written("--under", desk.photos / "2019") == ["white.png.xmp"]
    wrong = desk.run("export", "red", "--xmp", "--model", "nope")
    assert (wrong.exit_code, "nope has looked at no photo here" in wrong.stderr) == (1, True)


@pytest.mark.option("truth import --new", "truth import --complete", "truth import --under")
def test_what_comes_in_from_keywords_can_be_chosen(desk: Desk) -> None:
    desk.index()
    for path, keyword in (("red.jpg", "holiday"), ("2019/white.png", "red"), ("2019/blue.webp", "blue")):
        data, _, _ = xmp.write_xmp(None, {keyword: keyword}, [])
        (desk.photos / f"{path}.xmp").write_bytes(data.replace(b"urn:photosearch:1.0/", b"urn:another/"))

    def known() -> list[str]:
        rows = csv.DictReader(desk.run("truth", "export").stdout.splitlines())
        return sorted(f"{os.path.basename(row['path'])} {row['label']} {row['present']}" for row in rows)

    desk.run("truth", "import", "--xmp", "--under", desk.photos / "2019")
    assert known() == ["blue.webp blue 1", "white.png red 1"]
    desk.run("truth", "import", "--xmp", "--new", "holiday")
    assert known() == ["blue.webp blue 1", "red.jpg holiday 1", "white.png red 1"]
    desk.run("truth", "import", "--xmp", "--complete", "red")
    assert known() == [
        "blue.webp blue 1", "blue.webp red 0", "red.jpg holiday 1", "red.jpg red 0", "white.png red 1",
    ]  # fmt: skip


@pytest.mark.option("learn --model")
def test_a_label_is_learned_on_the_vectors_of_the_model_that_is_named(desk: Desk) -> None:
    desk.index()
    desk.run("mark", desk.photos / "red.jpg", "--is", "rose", "--new")
    wrong = desk.run("learn", "rose", "--model", "nope")
    assert (wrong.exit_code, "nope" in wrong.stderr) == (1, True)


# ---- index through an engine


@pytest.mark.option(
    "index --engine", "index --address", "index --shards", "index --shard-size", "index --cpus-per-actor",
    "index --gpus-per-actor",
)  # fmt: skip
def test_an_engine_is_opened_as_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, object]] = []

    def open_ray(_: Library, **options: object) -> None:
        opened.append(options)
        raise InputError("no engine here")

    monkeypatch.setattr(Library, "open_ray", open_ray)
    told = ("--engine", "ray", "--address", "head:6379", "--shards", desk.folder / "s", "--shard-size", 70,
            "--cpus-per-actor", 3, "--gpus-per-actor", 0.5)  # fmt: skip
    assert desk.index(*told).stderr == "photosearch: no engine here\n"
    assert opened == [
        {"address": "head:6379", "shards": str(desk.folder / "s"), "photos_per_shard": 70, "cpus": 3, "gpus": 0.5,
         "provider": "auto"}
    ]  # fmt: skip


# ---- index, folders set


@pytest.mark.option("index --exclude")
def test_exclude_adds_to_what_is_passed_over_anyway(desk: Desk) -> None:
    photo(desk.photos / ".trash" / "x.png")
    assert counts(desk.index("--exclude", "*.webp", "--json")) == {**COUNTS, "new": 2}
    assert names(desk.run("find", "red or blue", "--json")) == ["white.png", "red.jpg"]


@pytest.mark.option("index --follow-symlinks")
def test_links_are_followed_where_that_is_said_and_until_it_is_taken_back(desk: Desk) -> None:
    photo(desk.folder / "elsewhere" / "far.png", "green")
    (desk.photos / "link").symlink_to(desk.folder / "elsewhere")
    assert counts(desk.index("--json")) == {**COUNTS, "new": 3}
    assert counts(desk.index("--follow-symlinks", "--json")) == {**COUNTS, "new": 1, "unchanged": 3}
    assert counts(desk.index("--no-follow-symlinks", "--json")) == {**COUNTS, "unchanged": 3, "removed": 1}


@pytest.mark.option("index --max-megapixels")
def test_photos_of_more_megapixels_are_refused(desk: Desk) -> None:
    photo(desk.photos / "large.png", "red", size=(1001, 1000))
    photo(desk.photos / "just.png", "red", size=(1000, 1000))
    assert counts(desk.index("--max-megapixels", "1", "--json")) == {**COUNTS, "new": 4, "unreadable": 1}
    ((path, reason, _),) = [row.split("\t") for row in desk.run("errors").stdout.splitlines()]
    assert (os.path.basename(path), reason) == ("large.png", "1001x1000 pixels, more than the limit of 1,000,000")


@pytest.mark.option("index --batch-size")
def test_a_batch_that_fails_costs_as_many_photos_as_it_holds(desk: Desk) -> None:
    broken = write_toy(desk.folder / "broken.onnx", scale=2 / 255)  # a white photo scores 2
    for i in range(7):
        photo(desk.folder / "dark" / f"{i}.png", "white" if i == 6 else "black", size=(40 + i, 40))
    result = desk.run("index", desk.folder / "dark", "--model", broken, "--batch-size", "4")
    assert (result.exit_code, "the model is broken" in result.stderr) == (1, True)
    assert json.loads(desk.run("status", "--json").stdout)["photos"] == 4


@pytest.mark.option("index --workers")
def test_as_many_photos_are_opened_at_once_as_is_said(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, decoders: Callable[[int, DecodeOptions], PhotoOpener]
) -> None:
    asked: list[int] = []

    def counting(n: int, options: DecodeOptions) -> PhotoOpener:
        asked.append(n)
        return decoders(n, options)

    monkeypatch.setattr(run, "index", functools.partial(run.index, decoders=counting))
    assert desk.index("--workers", "3").exit_code == 0
    assert asked == [3]


@pytest.mark.option("folders set --model", "folders set --exclude", "folders set --include")
@pytest.mark.option("folders set --follow-symlinks")
def test_what_is_said_of_a_folder_takes_effect_with_the_next_index(desk: Desk) -> None:
    photo(desk.folder / "elsewhere" / "far.png", "green")
    photo(desk.photos / "node_modules" / "icon.png", "black")
    (desk.photos / "link").symlink_to(desk.folder / "elsewhere")
    desk.index()

    def after(*said: object) -> dict[str, object]:
        assert desk.run("folders", "set", desk.photos, *said).exit_code == 0
        return counts(desk.run("index", "--json"))

    assert after("--follow-symlinks") == {**COUNTS, "new": 1, "unchanged": 3}
    assert after("--exclude", "*.webp") == {**COUNTS, "unchanged": 3, "excluded": 1}
    assert after("--include", "node_modules/") == {**COUNTS, "new": 1, "unchanged": 3}
    assert after("--model", desk.other) == {**COUNTS, "rescored": 4}


# ---- report, sample, judge


@pytest.mark.option("report --label", "report --under")
def test_a_report_is_on_the_label_and_the_folder_that_are_named(desk: Desk) -> None:
    desk.index()
    desk.run("mark", desk.photos / "red.jpg", "--is", "red", "--not", "blue")
    desk.run("mark", desk.photos / "2019" / "blue.webp", "--is", "blue", "--not", "red")
    assert desk.run("report").stderr.startswith("photosearch: you know something of several labels; say which: ")

    def told(*more: object) -> list[object]:
        known = json.loads(desk.run("report", "--label", "blue", "--json", *more).stdout)
        return [known[k] for k in ("label", "n", "tp", "tn")]

    assert told() == ["blue", 2, 1, 1]
    assert told("--under", desk.photos / "2019") == ["blue", 1, 1, 0]


@pytest.mark.option("report --threshold")
def test_a_report_counts_from_the_threshold_that_is_named(desk: Desk) -> None:
    desk.index()
    desk.run("mark", desk.photos / "red.jpg", "--is", "red")  # which scores 0.996
    for threshold, found in ((0.25, 1), (1.0, 0)):
        told = json.loads(desk.run("report", "--threshold", threshold, "--json").stdout)
        assert (told["threshold"], told["tp"]) == (threshold, found)


@pytest.mark.option("report --precision-recall")
def test_precision_and_recall_are_drawn_where_both_pictures_are_asked_for(desk: Desk) -> None:
    pytest.importorskip("matplotlib")
    desk.index()
    desk.run("mark", desk.photos / "red.jpg", "--is", "red")

    def height(*more: str) -> int:
        drawn = desk.run("report", "--plot", desk.folder / "p.png", *more)
        assert drawn.exit_code == 0, drawn.output
        with Image.open(desk.folder / "p.png") as image:
            return image.height

    assert height("--calibration") > height("--calibration", "--precision-recall") == height()


def sample(desk: Desk, to: str, *more: object) -> list[str]:
    """Draw for red -> the photos on the sheet, in their order."""
    result = desk.run("sample", "red", "-n", "4", "--to", desk.folder / to, *more)
    assert result.exit_code == 0, result.output
    with open(desk.folder / to / "sample.csv") as file:
        return [os.path.basename(row["path"]) for row in csv.DictReader(file)]


@pytest.mark.option("sample --seed")
def test_another_seed_draws_other_photos(desk: Desk) -> None:
    for i in range(12):
        photo(desk.photos / f"{i:02}.png", "blue", size=(40 + i, 40))
    desk.index()
    assert sample(desk, "usual") != sample(desk, "other", "--seed", "1")


@pytest.mark.option("sample --model", "judge --model", "judge --unsure")
def test_a_sample_of_another_model_is_drawn_and_judged_for_itself(desk: Desk) -> None:
    desk.index()
    desk.run("index", desk.photos / "2019", "--model", desk.other)
    assert sorted(sample(desk, "s", "--model", "other")) == ["blue.webp", "white.png"]
    assert "no sample was drawn for red yet" in desk.run("judge", "red", "--none").stderr
    result = desk.run("judge", "red", "--none", "--unsure", "2", "--model", "other")
    assert said(result) == ["sheet 1: 1 judged, 0 of them red; now: photosearch report"]


# ---- models, doctor


@pytest.mark.option("models add --name")
def test_a_model_that_is_added_gets_the_name_that_is_given(desk: Desk) -> None:
    assert desk.run("models", "add", transformers_js(desk.folder / "clip"), "--name", "mine").exit_code == 0
    assert [row["name"] for row in json.loads(desk.run("models", "--json").stdout)][-1] == "mine"


@pytest.mark.option("models pull --yes")
def test_a_model_is_fetched_unasked_only_where_that_is_said(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "pull_model", lambda name: SimpleNamespace(name=name))  # the network is faked
    assert desk.run("models", "pull", "clip-b32").exit_code == 1
    assert desk.run("models", "pull", "clip-b32", "--yes").stderr.endswith(
        "clip-b32 is there; now: photosearch index --model clip-b32\n"
    )


@pytest.mark.option("doctor --provider", "doctor --model", "doctor --json")
def test_the_doctor_tries_what_is_named_and_exits_with_1_where_that_fails(desk: Desk) -> None:
    mine = write_toy(desk.folder / "mine.onnx", toy_card(name="mine"))
    result = desk.run("doctor", "--provider", "cpu", "--provider", "rocm", "--model", mine, "--json")
    told = {row["name"]: (row["works"], row["detail"]) for row in json.loads(result.stdout)}
    assert list(told) == ["decoding", "provider cpu", "provider rocm", "storing"]
    assert told["provider cpu"] == (True, "runs mine on cpu")
    assert (told["provider rocm"][0], result.exit_code) == (False, 1)


# ---- every command


WITH_DB = [name for name, command in commands() if any("--db" in p.opts for p in command.params)]
ARGUMENTS = {  # what a command needs before it opens the library
    "": ("errors",), "duplicates": (), "export": ("red", "--xmp"), "find": ("red",), "folders drop": ("x",),
    "folders set": ("x",), "forget": ("x",), "judge": ("red", "1"), "label add": ("x", "--from", "red"),
    "label remove": ("x",), "learn": ("red",), "merge": ("x",), "mark": ("x", "--is", "red"), "models use": ("toy",),
    "sample": ("red",), "truth import": ("x.csv",),
}  # fmt: skip


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that no command opens, and each that is asked to names."""
    path = tmp_path_factory.mktemp("newer") / "newer.db"
    Database(path, create=True).close()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(f"PRAGMA user_version = {VERSION + 1}")
    return path


@pytest.mark.option("--db", "* --db")
@pytest.mark.parametrize("command", WITH_DB)
def test_every_command_asks_the_library_that_is_named(desk: Desk, newer: Path, command: str) -> None:
    words = (*command.split(), *ARGUMENTS.get(command, ()))
    result = desk.run(*(("--db", newer, *words) if command == "" else (*words, "--db", newer)))
    assert result.exit_code == 1, f"give {command} what it needs to open the library, in ARGUMENTS: {result.output}"
    assert str(newer) in result.stderr, f"give {command} what it needs to open the library, in ARGUMENTS"


def test_every_option_has_a_test_that_asserts_what_it_does() -> None:
    missing = sorted(set(options()) - set(claims()))
    assert not missing, (
        f"no test says what these options do: {', '.join(missing)}. Write one that fails where the option is ignored, "
        f"and put above it: @pytest.mark.option({missing[0]!r})"
    )


def test_every_claim_is_of_an_option_that_there_is() -> None:
    strange = set(claims()) - set(options())
    assert not strange, "no command has these options; they were renamed, or misspelled in @pytest.mark.option"
