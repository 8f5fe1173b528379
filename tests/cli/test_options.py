"""Options that the other files here do not cover; at the end, that every option is covered.

`option_coverage.py` says how a test covers an option.
"""

import csv
import functools
import json
import os
import sqlite3
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cli_env import COUNTS, CliEnv, counts, fail, names, notes
from option_coverage import list_commands, list_options, read_coverage
from PIL import Image
from toy import photo, toy_card, write_toy
from two_towers import transformers_js

from photosearch import Library
from photosearch.errors import InputError
from photosearch.index import run
from photosearch.index.infer import PhotoOpener
from photosearch.library.database import Database
from photosearch.library.schema import VERSION
from photosearch.metadata import edit
from photosearch.models import hub
from photosearch.photos.decoders import DecodeOptions

# ---- find, labels, duplicates


@pytest.mark.option("find --paths")
def test_find_paths_prints_path_per_line(cli_env: CliEnv) -> None:
    cli_env.index()
    assert (
        cli_env.run("find", "red", "--paths").stdout == f"{cli_env.photos}/2019/white.png\n{cli_env.photos}/red.jpg\n"
    )


@pytest.mark.option("duplicates --paths", "duplicates --null")
def test_duplicates_print_spare_photos_for_other_programs(cli_env: CliEnv) -> None:
    for name in ("copy.jpg", "z\nb.jpg"):
        (cli_env.photos / name).write_bytes((cli_env.photos / "red.jpg").read_bytes())
    cli_env.index()
    lines = cli_env.run("duplicates", "--exact", "--paths")
    assert len(lines.stdout.splitlines()) == 3, "a name with a newline takes two"
    assert "1 path holds a newline" in lines.stderr
    for option in ("-0", "--null"):
        paths = cli_env.run("duplicates", "--exact", option).stdout.split("\0")
        assert len(paths) == 3
        assert all(Path(path).exists() for path in paths[:-1])
    assert "--paths" in fail(cli_env.run("duplicates", "--paths", "-0"))


def test_index_names_videos_passed_over(cli_env: CliEnv) -> None:
    for name in ("a.mp4", "b.MOV", "c.mov", *(f"d.x{i}" for i in range(10))):
        (cli_env.photos / name).write_bytes(b"video")
    assert "3 videos (2 .mov, 1 .mp4)" in cli_env.index().stderr


def test_damaged_photo_is_searchable_and_named(cli_env: CliEnv) -> None:
    noise = np.random.default_rng(0).integers(0, 60, (1600, 160, 3), np.uint8) + np.array([180, 0, 0], np.uint8)
    Image.fromarray(noise).save(cli_env.photos / "whole.jpg", quality=90)
    data = (cli_env.photos / "whole.jpg").read_bytes()
    (cli_env.photos / "cut.jpg").write_bytes(data[: int(0.98 * len(data))])
    (cli_env.photos / "copy.jpg").write_bytes(data[: int(0.98 * len(data))])
    cli_env.index()
    for _ in range(2):
        rows = {os.path.basename(r["path"]): r["reason"] for r in json.loads(cli_env.run("errors", "--json").stdout)}
        assert rows.keys() == {"cut.jpg", "copy.jpg"}
        assert all(reason.startswith("damaged: 9") for reason in rows.values())
        assert {"cut.jpg", "copy.jpg"} <= set(names(cli_env.run("find", "red", "--json", "--copies")))
        assert cli_env.run("index", cli_env.photos, "--model", cli_env.other).exit_code == 0, "another model reads it"


@pytest.mark.parametrize(("stored", "typed"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_names_match_in_either_unicode_form(cli_env: CliEnv, stored: str, typed: str) -> None:
    on_disk, asked = (unicodedata.normalize(form, "Zürich/Café.jpg") for form in (stored, typed))
    photo(cli_env.photos / on_disk, "green")
    cli_env.index()
    assert names(cli_env.run("find", "green", "--json", "--under", cli_env.photos / os.path.dirname(asked)))
    assert (
        cli_env.run("mark", cli_env.photos / asked, "--is", unicodedata.normalize(stored, "bébé"), "--new").exit_code
        == 0
    )
    table = cli_env.folder / "marks.csv"
    table.write_text(f"path,label,present\n{cli_env.photos / asked},{unicodedata.normalize(typed, 'Bébé')},1\n")
    assert cli_env.run("marks", "import", table).exit_code == 0
    rows = cli_env.run("marks", "export").stdout.splitlines()
    assert len(rows) == 2, "one mark, on one photo"


@pytest.mark.option("labels --model", "labels show --model")
def test_labels_of_one_model(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("index", cli_env.photos, "--model", cli_env.other)
    rows = json.loads(cli_env.run("labels", "--model", "other", "--json").stdout)
    assert [(row["label"], row["model"]) for row in rows] == [(c, "other") for c in ("blue", "red", "green")]
    row = json.loads(cli_env.run("labels", "show", "red", "--model", "other", "--json").stdout)
    assert (row["label"], row["model"]) == ("red", "other")


@pytest.mark.option("duplicates --exact", "duplicates --under")
def test_duplicates_exact_and_under(cli_env: CliEnv) -> None:
    few = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    picture = Image.fromarray(few).resize((120, 120), Image.Resampling.BICUBIC)
    for name in ("a.png", "a.bmp", "2019/a.tif"):
        picture.save(cli_env.photos / name)
    (cli_env.photos / "copy.png").write_bytes((cli_env.photos / "a.png").read_bytes())
    cli_env.index()

    def groups(*more: object) -> list[set[str]]:
        told = json.loads(cli_env.run("duplicates", "--json", *more).stdout)
        return [{os.path.basename(row["path"]) for row in group} for group in told]

    assert groups() == [{"a.png", "a.bmp", "a.tif", "copy.png"}]
    assert groups("--exact") == [{"a.png", "copy.png"}]
    assert groups("--under", cli_env.photos / "2019") == []


# ---- keywords, marks import, learn


@pytest.mark.option("keywords export --json", "keywords export --marked", "keywords export --model")
@pytest.mark.option("keywords export --short", "keywords export --under")
def test_keywords_export_options(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "2019" / "white.png", "--is", "red")

    def written(*more: object) -> list[str]:
        told = json.loads(cli_env.run("keywords", "export", "red", "--dry-run", "--json", *more).stdout)
        return sorted(os.path.basename(row["path"]) for row in told["written"])

    assert written() == ["red.jpg.xmp", "white.png.xmp"]
    assert written("--marked") == ["white.png.xmp"]
    assert written("--short") == ["red.xmp", "white.xmp"]
    assert written("--under", cli_env.photos / "2019") == ["white.png.xmp"]
    assert fail(cli_env.run("keywords", "export", "red", "--model", "nope")).startswith("nope ")


@pytest.mark.option("keywords import --new", "keywords import --complete", "keywords import --under")
def test_keywords_import_options(cli_env: CliEnv) -> None:
    cli_env.index()
    for path, keyword in (("red.jpg", "holiday"), ("2019/white.png", "red"), ("2019/blue.webp", "blue")):
        data, _, _ = edit.write_xmp(None, {keyword: keyword}, {})
        (cli_env.photos / f"{path}.xmp").write_bytes(data.replace(b"urn:photosearch:1.0/", b"urn:another/"))

    def known() -> list[str]:
        rows = csv.DictReader(cli_env.run("marks", "export").stdout.splitlines())
        return sorted(f"{os.path.basename(row['path'])} {row['label']} {row['present']}" for row in rows)

    cli_env.run("keywords", "import", "--under", cli_env.photos / "2019")
    assert known() == ["blue.webp blue 1", "white.png red 1"]
    cli_env.run("keywords", "import", "--new", "holiday")
    assert known() == ["blue.webp blue 1", "red.jpg holiday 1", "white.png red 1"]
    cli_env.run("keywords", "import", "--complete", "red")
    assert known() == [
        "blue.webp blue 1", "blue.webp red 0", "red.jpg holiday 1", "red.jpg red 0", "white.png red 1",
    ]  # fmt: skip


@pytest.mark.option("marks import --new")
def test_marks_import_creates_new_labels_on_request(cli_env: CliEnv) -> None:
    cli_env.index()
    (cli_env.photos / "marks.csv").write_text("path,label,present\nred.jpg,rose,1\n")
    assert "'rose'" in fail(cli_env.run("marks", "import", cli_env.photos / "marks.csv"))
    assert cli_env.run("marks", "import", cli_env.photos / "marks.csv", "--new", "rose").exit_code == 0
    assert cli_env.run("marks", "export").stdout.splitlines()[1].endswith("red.jpg,rose,1")


@pytest.mark.option("learn --model")
def test_learn_on_vectors_of_named_model(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "rose", "--new")
    assert "nope" in fail(cli_env.run("learn", "rose", "--model", "nope"))


# ---- index through an engine


@pytest.mark.option(
    "index --engine", "index --address", "index --shards", "index --shard-size", "index --cpus-per-actor",
    "index --gpus-per-actor",
)  # fmt: skip
def test_index_engine_ray_gets_options(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[dict[str, object]] = []

    def open_ray(_: Library, **options: object) -> None:
        opened.append(options)
        raise InputError("no engine here")

    monkeypatch.setattr(Library, "open_ray", open_ray)
    told = ("--engine", "ray", "--address", "head:6379", "--shards", cli_env.folder / "s", "--shard-size", 70,
            "--cpus-per-actor", 3, "--gpus-per-actor", 0.5)  # fmt: skip
    assert cli_env.index(*told).stderr == "photosearch: no engine here\n"
    assert opened == [
        {"address": "head:6379", "shards": str(cli_env.folder / "s"), "photos_per_shard": 70, "cpus": 3, "gpus": 0.5,
         "provider": "auto"}
    ]  # fmt: skip


# ---- index, folders set


@pytest.mark.option("index --exclude")
def test_index_exclude_adds_to_default_exclusions(cli_env: CliEnv) -> None:
    photo(cli_env.photos / ".trash" / "x.png")
    assert counts(cli_env.index("--exclude", "*.webp", "--json")) == {**COUNTS, "new": 2}
    assert names(cli_env.run("find", "red or blue", "--json")) == ["white.png", "red.jpg"]


@pytest.mark.option("index --follow-symlinks")
def test_index_follow_symlinks_until_unset(cli_env: CliEnv) -> None:
    photo(cli_env.folder / "elsewhere" / "far.png", "green")
    (cli_env.photos / "link").symlink_to(cli_env.folder / "elsewhere")
    assert counts(cli_env.index("--json")) == {**COUNTS, "new": 3}
    assert counts(cli_env.index("--follow-symlinks", "--json")) == {**COUNTS, "new": 1, "unchanged": 3}
    assert counts(cli_env.index("--no-follow-symlinks", "--json")) == {**COUNTS, "unchanged": 3, "removed": 1}


@pytest.mark.option("index --max-megapixels")
def test_index_max_megapixels_refuses_larger_photos(cli_env: CliEnv) -> None:
    photo(cli_env.photos / "large.png", "red", size=(1001, 1000))
    photo(cli_env.photos / "just.png", "red", size=(1000, 1000))
    assert counts(cli_env.index("--max-megapixels", "1", "--json")) == {**COUNTS, "new": 4, "unreadable": 1}
    ((path, reason, _),) = [row.split("\t") for row in cli_env.run("errors").stdout.splitlines()]
    assert os.path.basename(path) == "large.png"
    assert [part for part in ("1001x1000", "1,000,000") if part not in reason] == []


@pytest.mark.option("index --batch-size")
def test_index_batch_size_bounds_failed_batch(cli_env: CliEnv) -> None:
    broken = write_toy(cli_env.folder / "broken.onnx", scale=2 / 255)  # a white photo scores 2
    for i in range(7):
        photo(cli_env.folder / "dark" / f"{i}.png", "white" if i == 6 else "black", size=(40 + i, 40))
    result = cli_env.run("index", cli_env.folder / "dark", "--model", broken, "--batch-size", "4")
    assert (result.exit_code, "the model is broken" in result.stderr) == (1, True)
    assert json.loads(cli_env.run("status", "--json").stdout)["photos"] == 4


@pytest.mark.option("index --workers")
def test_index_workers_sets_number_of_decoders(
    cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch, decoders: Callable[[int, DecodeOptions], PhotoOpener]
) -> None:
    asked: list[int] = []

    def counting(n: int, options: DecodeOptions) -> PhotoOpener:
        asked.append(n)
        return decoders(n, options)

    monkeypatch.setattr(run, "index", functools.partial(run.index, decoders=counting))
    assert cli_env.index("--workers", "3").exit_code == 0
    assert asked == [3]


@pytest.mark.option("folders set --model", "folders set --exclude", "folders set --include")
@pytest.mark.option("folders set --follow-symlinks")
def test_folders_set_applies_from_next_index(cli_env: CliEnv) -> None:
    photo(cli_env.folder / "elsewhere" / "far.png", "green")
    photo(cli_env.photos / "node_modules" / "icon.png", "black")
    (cli_env.photos / "link").symlink_to(cli_env.folder / "elsewhere")
    cli_env.index()

    def after(*said: object) -> dict[str, object]:
        assert cli_env.run("folders", "set", cli_env.photos, *said).exit_code == 0
        return counts(cli_env.run("index", "--json"))

    assert after("--follow-symlinks") == {**COUNTS, "new": 1, "unchanged": 3}
    assert after("--exclude", "*.webp") == {**COUNTS, "unchanged": 3, "excluded": 1}
    assert after("--include", "node_modules/") == {**COUNTS, "new": 1, "unchanged": 3}
    assert after("--model", cli_env.other) == {**COUNTS, "rescored": 4}


# ---- report, sample, judge


@pytest.mark.option("report --label", "report --under")
def test_report_label_and_under(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red", "--not", "blue")
    cli_env.run("mark", cli_env.photos / "2019" / "blue.webp", "--is", "blue", "--not", "red")
    several = fail(cli_env.run("report"))
    assert [part for part in ("photosearch report", "red", "blue") if part not in several] == []
    assert "once" in fail(cli_env.run("report", "red", "--label", "blue"))
    assert json.loads(cli_env.run("report", "BLUE", "--json").stdout)["label"] == "blue"

    def told(*more: object) -> list[object]:
        known = json.loads(cli_env.run("report", "--label", "blue", "--json", *more).stdout)
        return [known[k] for k in ("label", "n", "tp", "tn")]

    assert told() == ["blue", 2, 1, 1]
    assert told("--under", cli_env.photos / "2019") == ["blue", 1, 1, 0]


@pytest.mark.option("report --threshold")
def test_report_threshold(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")  # which scores 0.996
    for threshold, found in ((0.25, 1), (1.0, 0)):
        told = json.loads(cli_env.run("report", "--threshold", threshold, "--json").stdout)
        assert (told["threshold"], told["tp"]) == (threshold, found)


@pytest.mark.slow
@pytest.mark.option("report --precision-recall")
def test_report_plot_prefers_precision_recall(cli_env: CliEnv) -> None:
    pytest.importorskip("matplotlib")
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")

    def height(*more: str) -> int:
        drawn = cli_env.run("report", "--plot", cli_env.folder / "p.png", *more)
        assert drawn.exit_code == 0, drawn.output
        with Image.open(cli_env.folder / "p.png") as image:
            return image.height

    assert height("--calibration") > height("--calibration", "--precision-recall") == height()


def sample(cli_env: CliEnv, to: str, *more: object) -> list[str]:
    """Draw for red -> the photos on the sheet, in their order."""
    result = cli_env.run("sample", "red", "-n", "4", "--to", cli_env.folder / to, *more)
    assert result.exit_code == 0, result.output
    with open(cli_env.folder / to / "sample.csv") as file:
        return [os.path.basename(row["path"]) for row in csv.DictReader(file)]


@pytest.mark.option("sample --seed")
def test_sample_seed_draws_other_photos(cli_env: CliEnv) -> None:
    for i in range(12):
        photo(cli_env.photos / f"{i:02}.png", "blue", size=(40 + i, 40))
    cli_env.index()
    assert sample(cli_env, "usual") != sample(cli_env, "other", "--seed", "1")


@pytest.mark.option("sample --model", "judge --model", "judge --unsure")
def test_sample_and_judge_for_named_model(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("index", cli_env.photos / "2019", "--model", cli_env.other)
    assert sorted(sample(cli_env, "s", "--model", "other")) == ["blue.webp", "white.png"]
    assert "photosearch sample red" in fail(cli_env.run("judge", "red", "--none"))
    result = cli_env.run("judge", "red", "--none", "--unsure", "2", "--model", "other")
    assert "1: 1 judged, 0 positive" in notes(result)[0]


# ---- models, doctor


@pytest.mark.option("models add --name")
def test_models_add_name(cli_env: CliEnv) -> None:
    assert cli_env.run("models", "add", transformers_js(cli_env.folder / "clip"), "--name", "mine").exit_code == 0
    assert [row["name"] for row in json.loads(cli_env.run("models", "--json").stdout)][-1] == "mine"


@pytest.mark.option("models pull --yes")
def test_models_pull_yes_skips_confirmation(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "pull_model", lambda name: SimpleNamespace(name=name))  # the network is faked
    assert cli_env.run("models", "pull", "clip-b32").exit_code == 1
    assert "photosearch index --model clip-b32" in notes(cli_env.run("models", "pull", "clip-b32", "--yes"))[-1]


@pytest.mark.slow
@pytest.mark.option("doctor --provider", "doctor --model", "doctor --json")
def test_doctor_exits_1_if_provider_fails(cli_env: CliEnv) -> None:
    mine = write_toy(cli_env.folder / "mine.onnx", toy_card(name="mine"))
    result = cli_env.run("doctor", "--provider", "cpu", "--provider", "rocm", "--model", mine, "--json")
    told = {row["name"]: (row["works"], row["detail"]) for row in json.loads(result.stdout)}
    assert list(told) == ["decoding", "provider cpu", "provider rocm", "storing", "text in pictures"]
    assert told["provider cpu"] == (True, "runs mine on cpu")
    assert (told["provider rocm"][0], result.exit_code) == (False, 1)


# ---- every command


WITH_DB = [name for name, command in list_commands() if any("--db" in p.opts for p in command.params)]
ARGUMENTS = {  # what a command needs before it opens the library
    "": ("errors",), "album add": ("x", "y"), "album delete": ("x",), "album export": ("x", "--paths"),
    "album remove": ("x", "y"), "album rename": ("x", "y"), "album show": ("x",),
    "find": ("red",), "folders remove": ("x",), "folders set": ("x",), "forget": ("x",),
    "judge": ("red", "1"), "keywords export": ("red",), "labels add": ("x",), "labels remove": ("x",),
    "labels show": ("x",), "learn": ("red",), "mark": ("x", "--is", "red"), "marks import": ("x.csv",), "merge": ("x",),
    "models default": ("toy",), "sample": ("red",), "threshold reset": ("x",), "threshold set": ("x", "0.5"),
    "undo learning": ("x",), "undo threshold": ("x",),
}  # fmt: skip


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of a newer version: no command opens it, and its error names it."""
    path = tmp_path_factory.mktemp("newer") / "newer.db"
    Database(path, create=True).close()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(f"PRAGMA user_version = {VERSION + 1}")
    return path


@pytest.mark.option("--db", "* --db")
@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=[pytest.mark.slow] if name == "mcp" else []) for name in WITH_DB]
)
def test_every_command_opens_library_of_db_option(cli_env: CliEnv, newer: Path, command: str) -> None:
    words = (*command.split(), *ARGUMENTS.get(command, ()))
    result = cli_env.run(*(("--db", newer, *words) if command == "" else (*words, "--db", newer)))
    assert result.exit_code == 1, f"give {command} what it needs to open the library, in ARGUMENTS: {result.output}"
    assert str(newer) in result.stderr, f"give {command} what it needs to open the library, in ARGUMENTS"


def test_every_option_is_covered() -> None:
    missing = sorted(set(list_options()) - set(read_coverage()))
    assert not missing, (
        f"no test covers these options: {', '.join(missing)}. Write one that fails if the option is ignored, "
        f"and put above it: @pytest.mark.option({missing[0]!r})"
    )


def test_every_covered_option_exists() -> None:
    strange = set(read_coverage()) - set(list_options())
    assert not strange, "no command has these options; they were renamed, or misspelled in @pytest.mark.option"
