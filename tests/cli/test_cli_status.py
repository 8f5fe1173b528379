"""`status`, `errors`, `models`, `forget`, `rebuild`, `doctor` as a user types them."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_env import CliEnv, names, said
from toy import toy_card, write_toy

from photosearch.cli.output import say_when
from photosearch.doctor import Check
from photosearch.models.catalog import DEFAULT_MODEL, list_shipped


@pytest.mark.option("errors --json")
def test_errors_say_why_and_since_when(cli_env: CliEnv) -> None:
    assert cli_env.index().exit_code == 0
    result = cli_env.run("errors")
    assert (result.stdout, result.stderr) == ("", "every photo could be read\n")
    (cli_env.photos / "broken.jpg").write_bytes(b"no photo")
    assert "`photosearch errors` says why" in cli_env.index().stderr
    (row,) = json.loads(cli_env.run("errors", "--json").stdout)
    assert row["path"] == str(cli_env.photos / "broken.jpg")
    assert row["reason"] == "not a photo in a format that is known"
    assert row["since"][:2] == "20"
    assert row["since"].endswith("Z"), "for programs"
    row["since"] = say_when(row["since"])  # for people, the time on their wall
    assert cli_env.run("errors").stdout == "\t".join(row.values()) + "\n"


def test_a_time_is_said_as_the_clock_on_the_wall_had_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    told = say_when("2026-11-27T20:58:00Z")
    monkeypatch.undo()
    time.tzset()
    assert told == "2026-11-28 02:28"


@pytest.mark.option("status --json")
def test_status_tells_what_there_is(cli_env: CliEnv) -> None:
    assert "not made yet" in cli_env.run("status").stdout
    assert not cli_env.library.exists(), "asking makes nothing"
    cli_env.index("--exclude", "*.webp")
    known = json.loads(cli_env.run("status", "--json").stdout)
    assert known["roots"] == [{"path": str(cli_env.photos), "photos": 2, "present": True}]
    counts = ("photos", "unreadable", "removed", "excluded", "truth", "default_model")
    assert [known[k] for k in counts] == [2, 0, 0, 0, 0, "toy"]
    assert known["models"][0]["images"] == 2
    assert known["providers"]["cpu"] == "ready"
    assert (known["last_run"]["models"], known["last_run"]["provider"]) == (["toy"], "cpu")
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
    lines = cli_env.run("status").stdout.splitlines()
    assert f"folder\t{cli_env.photos}: 2 photos" in lines
    assert "known to you\t1 mark" in lines
    assert "answers\ttoy" in lines
    assert "model\ttoy 1: looked at 2 pictures" in lines
    assert f"comes along\t{DEFAULT_MODEL}" in lines
    assert [
        line for line in lines if re.fullmatch(r"last run\tbegun [\d-]{10} [\d:]{5}, ended .{16}: toy on cpu", line)
    ]
    cli_env.photos.rename(cli_env.folder / "away")
    assert f"folder\t{cli_env.photos}: 2 photos, away" in cli_env.run("status").stdout.splitlines()


@pytest.mark.option("forget --all", "forget --yes")
def test_what_is_forgotten_is_named_and_asked_for(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
    assert said(cli_env.run("forget", cli_env.photos / "red.jpg")) == ["1 photo forgotten"]
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]
    assert (cli_env.photos / "red.jpg").exists()
    result = cli_env.run("forget", "--all")
    assert (result.exit_code, result.stderr) == (
        1,
        f"photosearch: this would forget everything in {cli_env.library}: 2 photos, 0 marks of yours, and the copies "
        "put aside; add --yes if that is meant\n",
    )
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]
    assert said(cli_env.run("forget", "--all", "--yes")) == ["2 photos forgotten"]
    known = json.loads(cli_env.run("status", "--json").stdout)
    assert (known["photos"], known["roots"], known["models"], known["default_model"]) == (0, [], [], None)


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 3), ("\n", 3)])
@pytest.mark.parametrize("command", [("forget", "--all"), ("folders", "drop", "PHOTOS")])
def test_at_a_terminal_a_person_is_asked(
    cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], answer: str, left: int
) -> None:
    cli_env.index()
    monkeypatch.setattr("photosearch.cli.maintenance.sees_a_person", lambda: True)
    result = cli_env.run(*(cli_env.photos if a == "PHOTOS" else a for a in command), input=answer)
    assert result.stdout.strip() == answer.strip(), "the runner's echo, and nothing else"
    assert "This will forget " in result.stderr
    assert "Go on? [y/N]:" in result.stderr
    assert result.exit_code == (1 if left else 0)
    assert ("photosearch: nothing was done" in result.stderr) == bool(left)
    assert json.loads(cli_env.run("status", "--json").stdout)["photos"] == left


@pytest.mark.parametrize("arguments", [(), ("x.jpg", "--all")])
def test_forget_needs_either_names_or_all(cli_env: CliEnv, arguments: tuple[str, ...]) -> None:
    cli_env.index()
    result = cli_env.run("forget", *arguments)
    assert (result.exit_code, result.stderr) == (1, "photosearch: name photos or folders to forget, or --all\n")


@pytest.mark.option("rebuild --force", "rebuild --yes")
def test_a_library_that_is_sound_is_rebuilt_only_by_force_and_keeps_what_its_user_said(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
    cli_env.run("report", "--threshold", "0.9", "--save")
    assert cli_env.run("rebuild").exit_code == 1
    asked = cli_env.run("rebuild", "--force")
    assert (asked.exit_code, asked.stdout) == (1, "")
    assert asked.stderr.startswith(f"photosearch: this would start {cli_env.library} anew: all scores go, ")
    assert names(cli_env.run("find", "red", "--json")) == ["white.png", "red.jpg"]
    (line,) = said(cli_env.run("rebuild", "--force", "--yes"))
    assert line.startswith("rescued: 1 mark, 1 threshold, 1 folder; the old library stands at ")
    assert line.endswith("; now run photosearch index")
    aside = Path(line.partition("stands at ")[2].partition(";")[0])
    assert aside.is_file()
    assert cli_env.run("index", cli_env.photos, "--model", cli_env.model).exit_code == 0
    assert json.loads(cli_env.run("labels", "--json").stdout)[0]["threshold"] == 0.9
    assert json.loads(cli_env.run("report", "--json").stdout)["tp"] == 1
    assert any(str(aside) in line for line in said(cli_env.run("forget", cli_env.photos / "red.jpg"))), (
        "it holds it still"
    )


def test_the_doctor_says_what_works(cli_env: CliEnv) -> None:
    checks = json.loads(cli_env.run("doctor", "--model", cli_env.model, "--json").stdout)
    assert [c["name"] for c in checks] == ["decoding", "provider auto", "provider cpu", "storing"]
    assert all(c["works"] and c["milliseconds"] > 0 for c in checks)


def test_the_doctor_says_in_a_table_what_works_and_what_does_not(
    cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = [Check("decoding", True, "a 12-megapixel JPEG", 20.125), Check("provider x", False, "not here")]
    monkeypatch.setattr("photosearch.doctor.examine", lambda path, providers: checks)  # which takes a second
    result = cli_env.run("doctor")
    assert result.stdout == (
        "decoding\tworks\t20.12 ms a photo\ta 12-megapixel JPEG\nprovider x\tFAILS\t\tnot here\n"
    )  # fmt: skip
    assert result.exit_code == 1
