"""`status`, `errors`, `models`, `forget`, `rebuild`, `doctor` as a user types them."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_env import Desk, names, said
from toy import toy_card, write_toy

from photosearch.cli.output import say_when
from photosearch.doctor import Check
from photosearch.models.catalog import DEFAULT_MODEL, list_shipped


@pytest.mark.option("errors --json")
def test_errors_say_why_and_since_when(desk: Desk) -> None:
    assert desk.index().exit_code == 0
    result = desk.run("errors")
    assert (result.stdout, result.stderr) == ("", "every photo could be read\n")
    (desk.photos / "broken.jpg").write_bytes(b"no photo")
    assert "`photosearch errors` says why" in desk.index().stderr
    (row,) = json.loads(desk.run("errors", "--json").stdout)
    assert row["path"] == str(desk.photos / "broken.jpg")
    assert row["reason"] == "not a photo in a known format"
    assert row["since"][:2] == "20"
    assert row["since"].endswith("Z"), "for programs"
    row["since"] = say_when(row["since"])  # for people, the time on their wall
    assert desk.run("errors").stdout == "\t".join(row.values()) + "\n"


def test_a_time_is_said_as_the_clock_on_the_wall_had_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    told = say_when("2026-11-27T20:58:00Z")
    monkeypatch.undo()
    time.tzset()
    assert told == "2026-11-28 02:28"


@pytest.mark.option("status --json")
def test_status_tells_what_there_is(desk: Desk) -> None:
    assert "not made yet" in desk.run("status").stdout
    assert not desk.library.exists(), "asking makes nothing"
    desk.index("--exclude", "*.webp")
    known = json.loads(desk.run("status", "--json").stdout)
    assert known["folders"] == [{"path": str(desk.photos), "photos": 2, "present": True}]
    counts = ("photos", "unreadable", "removed", "excluded", "marks", "default_model")
    assert [known[k] for k in counts] == [2, 0, 0, 0, 0, "toy"]
    assert known["models"][0]["images"] == 2
    assert known["providers"]["cpu"] == "ready"
    assert (known["last_run"]["models"], known["last_run"]["provider"]) == (["toy"], "cpu")
    desk.run("mark", desk.photos / "red.jpg", "--is", "red")
    lines = desk.run("status").stdout.splitlines()
    assert f"folder\t{desk.photos}: 2 photos" in lines
    assert "known to you\t1 mark" in lines
    assert "answers\ttoy" in lines
    assert "model\ttoy 1: looked at 2 pictures" in lines
    assert f"comes along\t{DEFAULT_MODEL}" in lines
    assert [
        line for line in lines if re.fullmatch(r"last run\tbegun [\d-]{10} [\d:]{5}, ended .{16}: toy on cpu", line)
    ]
    desk.photos.rename(desk.folder / "away")
    assert f"folder\t{desk.photos}: 2 photos, away" in desk.run("status").stdout.splitlines()


@pytest.mark.option("models show --json")
def test_a_models_card_is_shown_whole(desk: Desk) -> None:
    card = json.loads(desk.run("models", "show", desk.model, "--json").stdout)
    assert card == json.loads(toy_card().to_json())
    assert json.loads(desk.run("models", "show", DEFAULT_MODEL, "--json").stdout)["name"] == DEFAULT_MODEL
    result = desk.run("models", "show", "nothing")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"photosearch: no model 'nothing': give an .onnx file, or one of {', '.join(list_shipped())}\n"
    )


def test_a_model_is_described_to_a_person(desk: Desk) -> None:
    pooled = {"4": dict.fromkeys("abc", (1.0, 0.0, 0.0))}
    measured = ({"split": "test", "label": "a", "n": 10, "precision": 0.5, "recall": None},)
    card = toy_card(name="mine", labels=tuple("abc"), pooling=pooled, trained_on="red \x1b[1m squares",
                    measured=measured, details={"history": "long"})  # fmt: skip
    path = write_toy(desk.folder / "mine.onnx", card)
    lines = desk.run("models", "show", path).stdout.splitlines()
    assert lines[:5] == [
        "model           mine, version 1",
        f"file            {path}",
        "labels          3: a, b, c",
        "looks at        the photo, squashed into 8x8 pixels",
        "tiles           0, 4",
    ]
    assert "taught with     red \\x1b[1m squares" in lines
    assert lines.index("history         long") < next(i for i, line in enumerate(lines) if line.startswith("split"))
    assert lines[-1].split() == ["test", "a", "10", "0.500"]


@pytest.mark.option("models --json")
def test_the_models_are_listed_without_being_started(desk: Desk) -> None:
    (desk.folder / "models").mkdir()
    write_toy(desk.folder / "models" / "mine.onnx", toy_card(name="mine", labels=tuple("abc"), pooling={}))
    rows = json.loads(desk.run("models", "--json").stdout)
    keys = ["name", "version", "labels", "outputs", "input_size", "default", "path"]
    assert [list(row) for row in rows] == [keys] * len(rows)
    assert [row["name"] for row in rows] == [*list_shipped(), "mine"]
    assert [row["name"] for row in rows if row["default"]] == [DEFAULT_MODEL]
    assert desk.run("models").stdout.splitlines()[-1] == "mine\t1\tscores\ta, b, c\t8 px\t"
    program = (
        "import atexit, sys; from photosearch.cli.app import main; "
        "atexit.register(lambda: print(sorted({'onnxruntime', 'numpy'} & set(sys.modules)))); main()"
    )
    command = [sys.executable, "-P", "-c", program, "models"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_another_model_answers_once_it_has_looked(desk: Desk) -> None:
    desk.index()
    result = desk.run("models", "use", "other")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"photosearch: {desk.library}: other has not indexed any photos in this library; available models: toy; "
        "to index with it: photosearch index --model other\n"
    )
    desk.run("index", desk.photos / "2019", "--model", desk.other)
    assert desk.run("models", "use", "other").stdout == ""
    assert json.loads(desk.run("status", "--json").stdout)["default_model"] == "other"
    assert names(desk.run("find", "red", "--json")) == ["white.png"]


@pytest.mark.option("forget --all", "forget --yes")
def test_what_is_forgotten_is_named_and_asked_for(desk: Desk) -> None:
    desk.index()
    desk.run("mark", desk.photos / "red.jpg", "--is", "red")
    assert said(desk.run("forget", desk.photos / "red.jpg")) == ["1 photo forgotten"]
    assert names(desk.run("find", "red", "--json")) == ["white.png"]
    assert (desk.photos / "red.jpg").exists()
    result = desk.run("forget", "--all")
    assert (result.exit_code, result.stderr) == (
        1,
        f"photosearch: this would forget everything in {desk.library}: 2 photos, 0 marks of yours, and the copies "
        "put aside; add --yes if that is meant\n",
    )
    assert names(desk.run("find", "red", "--json")) == ["white.png"]
    assert said(desk.run("forget", "--all", "--yes")) == ["2 photos forgotten"]
    known = json.loads(desk.run("status", "--json").stdout)
    assert (known["photos"], known["folders"], known["models"], known["default_model"]) == (0, [], [], None)


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 3), ("\n", 3)])
@pytest.mark.parametrize("command", [("forget", "--all"), ("folders", "drop", "PHOTOS")])
def test_at_a_terminal_a_person_is_asked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], answer: str, left: int
) -> None:
    desk.index()
    monkeypatch.setattr("photosearch.cli.maintenance.sees_a_person", lambda: True)
    result = desk.run(*(desk.photos if a == "PHOTOS" else a for a in command), input=answer)
    assert result.stdout.strip() == answer.strip(), "the runner's echo, and nothing else"
    assert "This will forget " in result.stderr
    assert "Go on? [y/N]:" in result.stderr
    assert result.exit_code == (1 if left else 0)
    assert ("photosearch: nothing was done" in result.stderr) == bool(left)
    assert json.loads(desk.run("status", "--json").stdout)["photos"] == left


@pytest.mark.parametrize("arguments", [(), ("x.jpg", "--all")])
def test_forget_needs_either_names_or_all(desk: Desk, arguments: tuple[str, ...]) -> None:
    desk.index()
    result = desk.run("forget", *arguments)
    assert (result.exit_code, result.stderr) == (1, "photosearch: name photos or folders to forget, or --all\n")


@pytest.mark.option("rebuild --force", "rebuild --yes")
def test_a_library_that_is_sound_is_rebuilt_only_by_force_and_keeps_what_its_user_said(desk: Desk) -> None:
    desk.index()
    desk.run("mark", desk.photos / "red.jpg", "--is", "red")
    desk.run("report", "--threshold", "0.9", "--save")
    assert desk.run("rebuild").exit_code == 1
    asked = desk.run("rebuild", "--force")
    assert (asked.exit_code, asked.stdout) == (1, "")
    assert asked.stderr.startswith(f"photosearch: this would start {desk.library} anew: all scores go, ")
    assert names(desk.run("find", "red", "--json")) == ["white.png", "red.jpg"]
    (line,) = said(desk.run("rebuild", "--force", "--yes"))
    assert line.startswith("rescued: 1 mark, 1 threshold, 1 folder; the old library stands at ")
    assert line.endswith("; now run photosearch index")
    aside = Path(line.partition("stands at ")[2].partition(";")[0])
    assert aside.is_file()
    assert desk.run("index", desk.photos, "--model", desk.model).exit_code == 0
    assert json.loads(desk.run("labels", "--json").stdout)[0]["threshold"] == 0.9
    assert json.loads(desk.run("report", "--json").stdout)["tp"] == 1
    assert any(str(aside) in line for line in said(desk.run("forget", desk.photos / "red.jpg"))), "it holds it still"


def test_the_doctor_says_what_works(desk: Desk) -> None:
    checks = json.loads(desk.run("doctor", "--model", desk.model, "--json").stdout)
    assert [c["name"] for c in checks] == ["decoding", "provider auto", "provider cpu", "storing"]
    assert all(c["works"] and c["milliseconds"] > 0 for c in checks)


def test_the_doctor_says_in_a_table_what_works_and_what_does_not(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [Check("decoding", True, "a 12-megapixel JPEG", 20.125), Check("provider x", False, "not here")]
    monkeypatch.setattr("photosearch.doctor.examine", lambda path, providers: checks)  # which takes a second
    result = desk.run("doctor")
    assert result.stdout == (
        "decoding\tworks\t20.12 ms a photo\ta 12-megapixel JPEG\nprovider x\tFAILS\t\tnot here\n"
    )  # fmt: skip
    assert result.exit_code == 1
