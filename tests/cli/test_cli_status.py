"""`status`, `errors`, `forget`, `rebuild`, `doctor`."""

import json
import re
import shutil
import time
from pathlib import Path

import pytest
from cli_env import COUNTS, CliEnv, counts, fail, names, notes

from photosearch import doctor
from photosearch.cli.output import format_time
from photosearch.doctor import Check
from photosearch.models.catalog import list_shipped


@pytest.mark.option("errors --json")
def test_errors_lists_reason_and_time(cli_env: CliEnv) -> None:
    assert cli_env.index().exit_code == 0
    result = cli_env.run("errors")
    assert (result.stdout, len(notes(result))) == ("", 1)
    (cli_env.photos / "broken.jpg").write_bytes(b"no photo")
    assert "photosearch errors" in cli_env.index().stderr
    (row,) = json.loads(cli_env.run("errors", "--json").stdout)
    assert row["path"] == str(cli_env.photos / "broken.jpg")
    assert "format" in row["reason"]
    assert row["since"][:2] == "20"
    assert row["since"].endswith("Z"), "for programs"
    row["since"] = format_time(row["since"])  # for people, local time
    assert cli_env.run("errors").stdout == "\t".join(row.values()) + "\n"


def test_format_time_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    local = format_time("2026-11-27T20:58:00Z")
    monkeypatch.undo()
    time.tzset()
    assert local == "2026-11-28 02:28"


@pytest.mark.option("status --json")
def test_status_before_and_after_index(cli_env: CliEnv) -> None:
    assert "not created yet" in cli_env.run("status").stdout
    assert not cli_env.library.exists(), "status creates nothing"
    missing = cli_env.folder / "nowhere.db"
    for result in (cli_env.run("status", "--db", missing), cli_env.run("--db", missing, "status", "--json")):
        assert (result.stdout, "nowhere.db: no library here yet" in fail(result)) == ("", True)
    assert not missing.exists()
    cli_env.index("--exclude", "*.webp")
    known = json.loads(cli_env.run("status", "--json").stdout)
    assert known["folders"] == [{"path": str(cli_env.photos), "photos": 2, "present": True}]
    counts = ("photos", "unreadable", "removed", "excluded", "marks", "default_model")
    assert [known[k] for k in counts] == [2, 0, 0, 0, 0, "toy"]
    assert known["models"][0]["images"] == 2
    assert (known["last_run"]["models"], known["last_run"]["provider"]) == (["toy"], "cpu")
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
    lines = cli_env.run("status").stdout.splitlines()
    assert f"folder\t{cli_env.photos}: 2 photos" in lines
    assert "your marks\t1" in lines
    assert "default model\ttoy" in lines
    assert "model\ttoy 1: 2 images scored" in lines
    assert [line.split("\t")[1] for line in lines if line.startswith("included model\t")] == sorted(list_shipped())
    assert [line for line in lines if re.fullmatch(r"last run\t[\d-]{10} [\d:]{5} to .{16}, toy on cpu", line)]
    cli_env.photos.rename(cli_env.folder / "away")
    assert f"folder\t{cli_env.photos}: 2 photos, away" in cli_env.run("status").stdout.splitlines()


@pytest.mark.option("forget --all", "forget --yes")
def test_forget_photos_and_all(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
    refused = fail(cli_env.run("forget", cli_env.photos / "red.jpg"))
    assert "1 photo, 1 mark, 0 judged photos of samples; add --yes" in refused
    (told,) = notes(cli_env.run("forget", cli_env.photos / "red.jpg", "--yes"))
    assert told == "Forgotten: 1 photo, 1 mark, 0 judged photos of samples; the files are unchanged."
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]
    assert (cli_env.photos / "red.jpg").exists()
    refused = fail(cli_env.run("forget", "--all"))
    assert [part for part in (str(cli_env.library), "2 photos", "0 marks", "--yes") if part not in refused] == []
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]
    assert notes(cli_env.run("forget", "--all", "--yes"))[0].startswith("Forgotten: 2 photos, ")
    known = json.loads(cli_env.run("status", "--json").stdout)
    assert (known["photos"], known["folders"], known["models"], known["default_model"]) == (0, [], [], None)


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 3), ("\n", 3)])
@pytest.mark.parametrize("command", [("forget", "--all"), ("forget", "PHOTOS"), ("folders", "remove", "PHOTOS")])
def test_confirm_asks_at_terminal(
    cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], answer: str, left: int
) -> None:
    cli_env.index()
    monkeypatch.setattr("photosearch.cli.confirm.is_interactive", lambda: True)
    result = cli_env.run(*(cli_env.photos if a == "PHOTOS" else a for a in command), input=answer)
    assert result.stdout.strip() == answer.strip(), "the runner's echo, and nothing else"
    assert "3 photos, 0 marks, 0 judged photos of samples" in result.stderr
    assert "[y/N]:" in result.stderr
    assert result.exit_code == (1 if left else 0)
    assert ("photosearch: cancelled" in result.stderr) == bool(left)
    assert json.loads(cli_env.run("status", "--json").stdout)["photos"] == left


@pytest.mark.parametrize("arguments", [(), ("x.jpg", "--all")])
def test_forget_needs_paths_or_all(cli_env: CliEnv, arguments: tuple[str, ...]) -> None:
    cli_env.index()
    assert "--all" in fail(cli_env.run("forget", *arguments))


def test_forget_names_a_path_that_it_does_not_know_and_forgets_nothing(cli_env: CliEnv) -> None:
    cli_env.index()
    refused = fail(cli_env.run("forget", cli_env.photos / "red.jpg", cli_env.photos / "rde.jpg", "--yes"))
    assert refused == f"{cli_env.photos}/rde.jpg: the library knows no photo there; nothing was forgotten"
    assert json.loads(cli_env.run("status", "--json").stdout)["photos"] == 3


def test_a_folder_in_the_place_of_a_library_is_named(cli_env: CliEnv) -> None:
    for command in ("status", "find"):
        refused = fail(cli_env.run(command, "--db", cli_env.photos))
        assert refused == f"{cli_env.photos}: is a folder; a library is a file, such as {cli_env.photos}/library.db"


@pytest.mark.option("rebuild --force", "rebuild --yes")
def test_rebuild_of_sound_library_needs_force_and_keeps_marks(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
    cli_env.run("threshold", "set", "red", "0.9")
    assert "--force" in fail(cli_env.run("rebuild"))
    refused = fail(cli_env.run("rebuild", "--force"))
    assert [part for part in (str(cli_env.library), "--yes") if part not in refused] == []
    assert names(cli_env.run("find", "red", "--json")) == ["white.png", "red.jpg"]
    kept, hint = notes(cli_env.run("rebuild", "--force", "--yes"))
    assert "1 mark, 1 threshold, 1 folder" in kept
    assert hint == f"Next: photosearch index, which reads these folders again: {cli_env.photos}"
    aside = Path(kept.rpartition(" ")[2])
    assert aside.is_file()
    assert cli_env.run("index", cli_env.photos, "--model", cli_env.model).exit_code == 0
    rows = json.loads(cli_env.run("labels", "--json").stdout)
    assert [row["threshold"] for row in rows if row["label"] == "red"] == [0.9]
    assert json.loads(cli_env.run("report", "--json").stdout)["tp"] == 1
    forgotten = cli_env.run("forget", cli_env.photos / "red.jpg", "--yes")
    assert str(aside) in forgotten.stderr, "a backup that still holds the photo"


@pytest.mark.slow
def test_doctor_json(cli_env: CliEnv) -> None:
    checks = json.loads(cli_env.run("doctor", "--model", cli_env.model, "--json").stdout)
    assert [c["name"] for c in checks] == ["decoding", "provider auto", "provider cpu", "storing", "text in pictures"]
    assert all(c["works"] for c in checks if c["installed"])
    assert all(c["installed"] and c["milliseconds"] > 0 for c in checks[:4])


def test_doctor_says_that_text_is_not_installed_and_exits_0(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photosearch.doctor.find_reader", lambda: "install the extra")
    monkeypatch.setattr("photosearch.doctor.examine", lambda path, providers: [doctor._check_text()])
    shown, told = cli_env.run("doctor"), cli_env.run("doctor", "--json")
    assert shown.stdout.split("\t") == ["text in pictures", "not installed", "", "install the extra\n"]
    assert json.loads(told.stdout) == [
        {"name": "text in pictures", "works": False, "installed": False, "detail": "install the extra",
         "milliseconds": None},
    ]  # fmt: skip
    assert (shown.exit_code, told.exit_code) == (0, 0)


def test_doctor_table_names_failures(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    checks = [Check("decoding", True, "a 12-megapixel JPEG", 20.125), Check("provider x", False, "not here")]
    monkeypatch.setattr("photosearch.doctor.examine", lambda path, providers: checks)  # which takes a second
    result = cli_env.run("doctor")
    assert [line.split("\t") for line in result.stdout.splitlines()] == [
        ["decoding", "works", "20.12 ms per photo", "a 12-megapixel JPEG"], ["provider x", "FAILS", "", "not here"],
    ]  # fmt: skip
    assert result.exit_code == 1


def test_library_moves_to_another_machine(cli_env: CliEnv) -> None:
    """As docs/guide.md says: copy the library, and index the photos at their new place."""
    cli_env.index()
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
    cli_env.run("threshold", "set", "red", "0.9")
    there = cli_env.folder / "there"
    there.mkdir()
    shutil.copytree(cli_env.photos, there / "Pictures", copy_function=shutil.copyfile)  # other inodes, other dates
    shutil.rmtree(cli_env.photos)
    for name in ("library.db", "library.db.user-copy"):
        cli_env.library.with_name(name).rename(there / name)
    shutil.rmtree(cli_env.library.parent)
    moved = ("--db", there / "library.db")
    indexed = cli_env.run(*moved, "index", there / "Pictures", "--json")
    assert counts(indexed) == {**COUNTS, "unchanged": 3}, "recognised by their content"
    assert names(cli_env.run(*moved, "find", "red", "--json")) == ["white.png", "red.jpg"]
    red = there / "Pictures" / "red.jpg"
    assert cli_env.run(*moved, "marks", "export").stdout == f"path,label,present\n{red},red,1\n"
    assert json.loads(cli_env.run(*moved, "status", "--json").stdout)["folders"] == [
        {"path": str(there / "Pictures"), "photos": 3, "present": True}
    ]
