"""`index` and `folders`: counts, settings, notes, exit codes."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from cli_env import COUNTS, CliEnv, counts, fail, names, notes, photosearch
from toy import photo

from photosearch.cli.runs import describe_skipped, describe_speed, stop_on_signal


@pytest.mark.option("index --json")
def test_index_counts_photos_and_names_model(cli_env: CliEnv) -> None:
    result = cli_env.index("--json", "--provider", "cpu")
    summary = json.loads(result.stdout)
    assert isinstance(summary.pop("seconds"), float)
    assert summary.pop("text_seconds") == 0
    assert summary == {
        **COUNTS, "new": 3, "rescored_reasons": {}, "skipped_files": {}, "provider": "cpu", "models": ["toy"],
        "not_scored": 0, "skipped_rows": 0, "metadata_read": 0, "texts_read": 0, "texts_found": 0,
        "texts_failed": 0, "stopped": False,
    }  # fmt: skip
    (line,) = notes(result)
    assert line.startswith("3 photos: 3 new; ")
    assert line.endswith(", toy on cpu")
    assert counts(cli_env.index("--json")) == {**COUNTS, "unchanged": 3}
    (line,) = notes(cli_env.index())
    assert line.startswith("3 photos: 0 new, 3 unchanged; ")


def test_index_counts_moved_removed_and_broken_photos(cli_env: CliEnv) -> None:
    cli_env.index()
    (cli_env.photos / "red.jpg").rename(cli_env.photos / "2019" / "rot.jpg")
    (cli_env.photos / "2019" / "blue.webp").unlink()
    (cli_env.photos / "broken.jpg").write_bytes(b"no photo")
    photo(cli_env.photos / "green.bmp", "green")
    result = cli_env.index("--json")
    assert counts(result) == {**COUNTS, "new": 1, "unchanged": 1, "moved": 1, "removed": 1, "unreadable": 1}
    summary, hint = notes(result)
    assert summary.startswith("4 photos: 1 new, 1 unchanged, 1 moved, 1 unreadable, 1 removed; ")
    assert "photosearch errors" in hint
    assert counts(cli_env.index("--json")) == {**COUNTS, "unchanged": 3, "unreadable": 1}
    photo(cli_env.photos / "2019" / "blue.webp", "blue", lossless=True)
    photo(cli_env.photos / "green.bmp", "red", size=(32, 32))
    assert counts(cli_env.index("--json")) == {**COUNTS, "unchanged": 2, "returned": 1, "changed": 1, "unreadable": 1}


@pytest.mark.option("index --force")
def test_index_reports_why_photos_are_rescored(cli_env: CliEnv) -> None:
    cli_env.index()

    def rescore(*options: object) -> list[str]:
        result = cli_env.run("index", *options, "--json")
        summary = json.loads(result.stdout)
        ((reason, n),) = summary["rescored_reasons"].items()
        assert (summary["rescored"], n) == (3, 3)
        (line,) = [line for line in notes(result) if line.startswith("3 photos: 0 new, 3 rescored")]
        assert f"({reason})" in line
        return [reason, line.rpartition(", ")[2]]

    assert rescore("--force") == ["forced", "toy on cpu"]
    assert rescore(cli_env.photos, "--tiles", "4") == ["other tiles", "toy on cpu"]
    assert rescore(cli_env.photos, "--model", cli_env.other) == ["another model", "other on cpu"]


def test_index_counts_skipped_files_by_extension(cli_env: CliEnv) -> None:
    for name in ("a.mp4", "b.MP4", "notes.txt", "README"):
        (cli_env.photos / name).write_bytes(b"x")
    result = cli_env.index("--json")
    assert json.loads(result.stdout)["skipped_files"] == {".mp4": 2, ".txt": 1, "": 1}
    assert notes(result)[-1].endswith(": 2 videos (2 .mp4), 1 without an extension, 1 .txt")


def test_describe_skipped_names_extra_that_reads_files() -> None:
    line = describe_skipped(Counter({".cr2": 7, ".mp4": 2, ".jxl": 1}))
    assert "2 videos (2 .mp4), 7 .cr2, 1 .jxl" in line
    assert ".cr2: pip install 'photosearch[raw]'" in line
    assert ".jxl: pip install 'photosearch[jxl]'" in line
    many = Counter({f".{i}": 10 - i for i in range(10)})
    assert describe_skipped(many).endswith(", 3 .7, 3 others")


def test_index_of_one_photo_uses_singular(cli_env: CliEnv) -> None:
    photo(cli_env.folder / "one" / "a.png", "red")
    line, advice = notes(cli_env.run("index", cli_env.folder / "one", "--model", cli_env.model))
    assert line.startswith("1 photo: 1 new; ")
    assert advice.startswith("Try: photosearch find red")
    assert notes(cli_env.run("find", "red")) == ["1 photo"]


@pytest.mark.option("index --quiet", "index --verbose", "index --retry")
def test_index_quiet_and_verbose(cli_env: CliEnv) -> None:
    (cli_env.photos / "broken.jpg").write_bytes(b"no photo")
    quiet = cli_env.index("--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert json.loads(cli_env.index("-q", "--json").stdout)["unreadable"] == 1
    broken = f"{cli_env.photos}/broken.jpg: "
    assert broken in cli_env.index("--verbose", "--retry").stderr
    assert broken not in cli_env.index("--retry").stderr
    assert cli_env.run("index", cli_env.folder / "nowhere", "-q").stderr.startswith("photosearch: ")


def test_index_without_folder_takes_all_known(cli_env: CliEnv) -> None:
    assert "photosearch index FOLDER" in fail(cli_env.run("index", "--model", cli_env.model))
    cli_env.index()
    assert counts(cli_env.run("index", "--json")) == {**COUNTS, "unchanged": 3}


def test_index_of_nested_folders_counts_photos_once(cli_env: CliEnv) -> None:
    assert counts(cli_env.index(cli_env.photos / "2019", "--json")) == {**COUNTS, "new": 3}


def test_index_of_missing_folder_creates_no_library(cli_env: CliEnv) -> None:
    for wrong in (cli_env.folder / "nowhere", cli_env.model):
        assert cli_env.run("index", wrong, "--model", cli_env.model).exit_code == 1
    assert not cli_env.library.parent.exists()
    assert "photosearch index FOLDER" in fail(cli_env.run("find", "red"))


@pytest.mark.parametrize("known", [False, True])
def test_index_rejects_file(cli_env: CliEnv, known: bool) -> None:
    if known:
        cli_env.index()
    error = fail(cli_env.run("index", cli_env.photos / "red.jpg", "--model", cli_env.model))
    assert error.startswith(f"{cli_env.photos}/red.jpg: is a file")


@pytest.mark.option("index --require-gpu", "index --provider")
def test_index_require_gpu_fails_on_cpu(cli_env: CliEnv) -> None:
    assert "--provider cpu" in fail(cli_env.index("--require-gpu", "--provider", "cpu"))


def test_paths_expand_tilde(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(cli_env.folder))
    monkeypatch.setenv("PHOTOSEARCH_DB", "~/mine.db")
    assert counts(cli_env.run("index", "~/photos", "--model=~/toy.onnx", "--json")) == {**COUNTS, "new": 3}
    assert (cli_env.folder / "mine.db").exists()
    assert names(cli_env.run("find", "red", "--under=~/photos/2019", "--json", "--db=~/mine.db")) == ["white.png"]
    assert cli_env.run("find", "red", "--copy-to=~/album").exit_code == 0
    assert len(list((cli_env.folder / "album").iterdir())) == 2


def test_db_before_or_after_command(cli_env: CliEnv) -> None:
    other = cli_env.folder / "other.db"
    assert cli_env.index("--db", other).exit_code == 0
    assert cli_env.run("find", "red").exit_code == 1, "the default library is empty"
    calls = [
        ("--db", other, "find", "red"), ("find", "--db", other, "red"), ("find", "red", "--db", other),
        ("--db", "nowhere.db", "find", "red", "--db", other),
        ("folders", "--db", other, "set", cli_env.photos), ("--db", other, "folders", "set", cli_env.photos),
        ("folders", "set", cli_env.photos, "--db", other), ("--db", other, "marks", "export"),
        ("--db", other, "models", "default", "toy"), ("--db", other, "labels", "tree"),
    ]  # fmt: skip
    for call in calls:
        assert cli_env.run(*call).exit_code == 0, call
    assert not cli_env.library.exists()
    assert json.loads(cli_env.run("--db", other, "status", "--json").stdout)["database"] == str(other)


def test_index_with_tiles_then_other_model_then_new_default(cli_env: CliEnv) -> None:
    """Both models give the same scores."""
    assert counts(cli_env.index("--tiles", "4", "--json")) == {**COUNTS, "new": 3}
    assert counts(cli_env.run("index", cli_env.photos, "--json")) == {**COUNTS, "unchanged": 3}
    sub = cli_env.photos / "2019"
    settings, summary, hint = notes(cli_env.run("index", sub, "--model", cli_env.other))
    assert settings.startswith(f"{sub}: ")
    assert str(cli_env.other) in settings
    assert summary.startswith("2 photos: 0 new, 2 rescored (another model)")
    assert "photosearch models default other" in hint
    result = cli_env.run("find", "red", "--json")
    assert names(result) == ["white.png", "red.jpg"]
    assert json.loads(result.stdout)["models"] == ["toy"]
    (line,) = notes(cli_env.run("models", "default", "other"))
    assert "2 of 3 images" in line
    assert "photosearch index" in line
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]
    assert counts(cli_env.run("index", "--json")) == {**COUNTS, "rescored": 1, "unchanged": 2}
    result = cli_env.run("find", "red", "--json")
    assert json.loads(result.stdout)["models"] == ["other"]
    (line,) = notes(cli_env.run("models", "default", "toy"))
    assert "3 of 3 images" in line
    assert "photosearch index" not in line


@pytest.mark.option("index --tiles")
def test_index_keeps_scores_with_and_without_tiles(cli_env: CliEnv) -> None:
    cli_env.index("--tiles", "4")
    assert counts(cli_env.index("--json", "--tiles", "0")) == {**COUNTS, "rescored": 3}
    assert counts(cli_env.index("--json", "--tiles", "4")) == {**COUNTS, "unchanged": 3}
    models = json.loads(cli_env.run("status", "--json").stdout)["models"]
    assert sorted((m["name"], m["tiles"], m["images"]) for m in models) == [("toy", 0, 3), ("toy", 4, 3)]


@pytest.mark.option("index --model")
def test_index_with_two_models(cli_env: CliEnv) -> None:
    result = cli_env.index("--model", cli_env.other, "--json")
    assert json.loads(result.stdout)["models"] == ["toy", "other"]
    assert notes(result)[-1].endswith(", toy and other on cpu")
    assert [names(cli_env.run("find", "red", "--json", "--model", m)) for m in ("toy", "other")] == [
        ["white.png", "red.jpg"]
    ] * 2


def test_index_knows_model_file_by_name(cli_env: CliEnv) -> None:
    cli_env.index()
    assert counts(cli_env.run("index", cli_env.photos, "--model", "toy", "--json")) == {**COUNTS, "unchanged": 3}


@pytest.mark.option("index --include")
def test_index_exclude_then_include(cli_env: CliEnv) -> None:
    """Excluded photos leave `find` at once, and return unopened."""
    cli_env.index()
    result = cli_env.run("index", cli_env.photos, "--exclude", "2019", "--json")
    assert counts(result) == {**COUNTS, "unchanged": 1, "excluded": 2}
    settings, summary = notes(result)
    assert settings.startswith(f"{cli_env.photos}: ")
    assert settings.endswith("2019")
    assert summary.startswith("1 photo: 0 new, 1 unchanged, 2 excluded; ")
    assert names(cli_env.run("find", "red or blue", "--json")) == ["red.jpg"]
    assert counts(cli_env.run("index", "--json")) == {**COUNTS, "unchanged": 1}, "it remembers"
    result = cli_env.run("index", cli_env.photos, "--include", "2019", "--json")
    assert counts(result) == {**COUNTS, "unchanged": 1, "returned": 2}
    assert names(cli_env.run("find", "red or blue", "--json")) == ["blue.webp", "white.png", "red.jpg"]
    assert counts(cli_env.run("index", "--json")) == {**COUNTS, "unchanged": 3}


@pytest.mark.option("index --prune")
def test_a_pattern_that_matches_nothing_is_not_stored(cli_env: CliEnv) -> None:
    cli_env.index()
    for command in (("index",), ("folders", "set")):
        assert "not a gitignore pattern" in fail(cli_env.run(*command, cli_env.photos, "--exclude", "["))
    assert cli_env.index().exit_code == 0
    assert "excluded" not in cli_env.run("folders").stdout


@pytest.mark.parametrize("command", ["index", "forget", "mark", "folders set", "folders remove", "find --under"])
def test_an_empty_path_is_wrong_usage_and_not_the_folder_here(
    cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    cli_env.index()
    monkeypatch.chdir(cli_env.photos)
    result = cli_env.run(*command.split(), "", *(["--yes"] if command in ("forget", "folders remove") else []))
    assert (result.exit_code, "the path is empty" in result.stderr) == (2, True)


def test_index_of_emptied_folder_removes_nothing_without_prune(cli_env: CliEnv) -> None:
    cli_env.index()
    away = cli_env.photos.rename(cli_env.folder / "away")
    cli_env.photos.mkdir()
    warning = notes(cli_env.run("index"))[0]
    assert warning.startswith(f"{cli_env.photos}: 3 of 3 photos are missing")
    assert "index --prune" in warning
    assert counts(cli_env.run("index", "--prune", "--json")) == {**COUNTS, "removed": 3}
    cli_env.photos.rmdir()
    away.rename(cli_env.photos)
    assert counts(cli_env.run("index", "--json")) == {**COUNTS, "returned": 3}


@pytest.mark.option("folders --json", "folders --skipped")
def test_folders_lists_counts_and_settings(cli_env: CliEnv) -> None:
    fail(cli_env.run("folders"))
    (cli_env.photos / "broken.jpg").write_bytes(b"no photo")
    cli_env.index("--exclude", "*.webp", "--tiles", "4")
    cli_env.run("index", cli_env.photos / "2019", "--model", cli_env.other, "--follow-symlinks")
    result = cli_env.run("folders")
    top, sub = [line.split("\t") for line in result.stdout.splitlines()]
    assert (top[:3], sub[:3]) == (
        [str(cli_env.photos), "3 photos, 1 unreadable", ""], [f"{cli_env.photos}/2019", "1 photo", ""],
    )  # fmt: skip
    assert [part for part in ("4", "*.webp") if part not in top[3]] == []
    assert [part for part in ("4", "*.webp", str(cli_env.other), "links") if part not in sub[3]] == []
    assert "links" not in top[3]
    assert notes(result) == []
    assert "node_modules/" in cli_env.run("folders", "--skipped").stdout.splitlines()
    rows = json.loads(cli_env.run("folders", "--json").stdout)
    numbers = {"unreadable": 1, "removed": 0, "excluded": 0, "present": True}
    assert rows[0] == {
        "path": str(cli_env.photos), "photos": 3, **numbers,
        "settings": {"tiles": 4, "exclude": ["*.webp"]},
    }  # fmt: skip
    cli_env.photos.rename(cli_env.folder / "away")
    assert [row["present"] for row in json.loads(cli_env.run("folders", "--json").stdout)] == [False, False]
    assert cli_env.run("folders").stdout.splitlines()[0].split("\t")[2] == "away"


@pytest.mark.option("folders set --tiles", "folders set --reset")
def test_folders_set_and_reset(cli_env: CliEnv) -> None:
    cli_env.index()
    settings, hint = notes(cli_env.run("folders", "set", cli_env.photos / "2019", "--tiles", "4"))
    assert settings.startswith(f"{cli_env.photos}/2019: ")
    assert "tiles: 4" in settings
    assert hint.endswith("photosearch index")
    assert counts(cli_env.run("index", "--json")) == {**COUNTS, "rescored": 2, "unchanged": 1}
    settings, _ = notes(cli_env.run("folders", "set", cli_env.photos / "2019", "--reset"))
    assert "tiles: 4" not in settings
    assert [row["path"] for row in json.loads(cli_env.run("folders", "--json").stdout)] == [str(cli_env.photos)]


@pytest.mark.option("folders remove --yes")
def test_folders_remove_needs_confirmation(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("index", cli_env.photos / "2019", "--model", cli_env.other)
    cli_env.run("mark", cli_env.photos / "red.jpg", "--is", "red")
    sub = cli_env.photos / "2019"
    refused = fail(cli_env.run("folders", "remove", sub))
    assert [part for part in (str(sub), "2 photos", "--yes") if part not in refused] == []
    assert "2 photos" in notes(cli_env.run("folders", "remove", sub, "--yes"))[0]
    assert [row["path"] for row in json.loads(cli_env.run("folders", "--json").stdout)] == [str(cli_env.photos)]
    assert (sub / "white.png").exists()
    assert "1 photo," in notes(cli_env.run("folders", "remove", cli_env.photos, "--yes"))[0]
    assert "photosearch index FOLDER" in cli_env.run("folders").stderr
    assert len(cli_env.run("marks", "export").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("index", "nowhere"), ["nowhere: "]),
        (("index", "--model", "nothing"), ["'nothing'", "bird-classic"]),
        (("index", "--provider", "abacus"), ["'abacus'"]),
        (("index", "--tiles", "5"), ["toy", "tiles", "5"]),
        (("folders", "set", "nowhere", "--tiles", "4"), ["nowhere: ", "PHOTOS"]),
        (("folders", "set", "PHOTOS", "--tiles", "5"), ["toy", "tiles", "5"]),
        (("folders", "set", "PHOTOS", "--model", "nothing"), ["'nothing'"]),
        (("folders", "remove", "nowhere"), ["nowhere: ", "PHOTOS"]),
    ],
)
def test_index_and_folders_reject_wrong_arguments(
    cli_env: CliEnv, arguments: tuple[str, ...], named: list[str]
) -> None:
    cli_env.index()
    before = cli_env.run("folders", "--json").stdout
    result = cli_env.run(*(str(cli_env.photos) if a == "PHOTOS" else a for a in arguments))
    error = fail(result)
    assert [part for part in named if part.replace("PHOTOS", str(cli_env.photos)) not in error] == []
    assert cli_env.run("folders", "--json").stdout == before


@pytest.mark.slow
def test_ctrl_c_finishes_batch_and_exits_130(cli_env: CliEnv) -> None:
    for i in range(300):
        photo(cli_env.photos / f"{i}.png", "red", size=(i + 1, 600))
    run = photosearch("index", cli_env.photos, "--model", cli_env.model, "--batch-size", 4, "--workers", 1, "--json")
    while run.poll() is None and not status_photos(cli_env):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 130, err
    assert "Ctrl-C" in err, "how to stop at once"
    assert "Stopped" in err
    summary = json.loads(out)
    new = summary["new"]
    assert 0 < new < 303
    assert summary["stopped"] is True
    assert counts(cli_env.index("--json")) == {**COUNTS, "new": 303 - new, "unchanged": new}


@pytest.mark.slow
def test_ctrl_c_at_terminal_reports_progress(cli_env: CliEnv) -> None:
    for i in range(300):
        photo(cli_env.photos / f"{i}.png", "red", size=(i + 1, 600))
    screen, stderr = pty.openpty()
    program = ("index", cli_env.photos, "--model", cli_env.model, "--batch-size", 4, "--workers", 1)
    run = photosearch(*program, stdout=subprocess.DEVNULL, stderr=stderr)
    os.close(stderr)
    shown = b""
    with contextlib.suppress(OSError):  # EIO: the other end is closed
        while more := os.read(screen, 65536):
            shown += more
            if b"/303" in shown and b"Finishing" not in shown:
                run.send_signal(signal.SIGINT)
    os.close(screen)
    assert run.wait() == 130
    assert re.search(rb"\d+ of 303 photos: \d+ new; ", shown), shown


def status_photos(cli_env: CliEnv) -> int:
    result = cli_env.run("status", "--json")
    return json.loads(result.stdout).get("photos", 0) if result.exit_code == 0 else 0


def test_index_resolves_relative_folder(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cli_env.folder)
    cli_env.run("index", "photos", "--model", "toy.onnx")
    monkeypatch.chdir(cli_env.photos)
    assert counts(cli_env.run("index", ".", "--json")) == {**COUNTS, "unchanged": 3}
    assert Path(json.loads(cli_env.run("folders", "--json").stdout)[0]["path"]) == Path(
        os.path.realpath(cli_env.photos)
    )


def test_second_ctrl_c_stops_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        assert "Ctrl-C" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_index_says_which_patterns_matched_nothing(cli_env: CliEnv) -> None:
    said = notes(cli_env.index("--exclude", "thumbz", "--exclude", "*.webp", "--include", "old"))
    assert f"--exclude thumbz: excludes nothing in {cli_env.photos}" in said
    assert f"--include old: matches nothing in {cli_env.photos} that is excluded" in said
    assert not [line for line in said if "webp" in line and "nothing" in line]
    assert not [line for line in notes(cli_env.index()) if "nothing" in line], "only of this run's options"
    photo(cli_env.folder / "other" / "green.png", "green")
    said = notes(cli_env.run("index", cli_env.photos, cli_env.folder / "other", "--exclude", "*.webp"))
    assert not [line for line in said if "nothing" in line], "it matches in one of the folders"
    assert "no folder has a name that matches" in fail(cli_env.run("index", f"{cli_env.photos}/19*"))


def test_index_shows_linked_photos_in_their_own_places(cli_env: CliEnv) -> None:
    (cli_env.photos / "0-link").symlink_to(cli_env.photos / "2019")
    other = cli_env.folder / "other"
    photo(other / "green.png", "green")
    (cli_env.photos / "1-link").symlink_to(other)
    cli_env.run("index", cli_env.photos, other, "--model", cli_env.model, "--follow-symlinks")
    found = cli_env.run("find", "red or green or blue", "--paths").stdout.splitlines()
    own = ("red.jpg", "2019/white.png", "2019/blue.webp")
    assert sorted(found) == sorted([*(str(cli_env.photos / name) for name in own), str(other / "green.png")])


def test_run_that_took_no_time_has_a_speed() -> None:
    """Where a clock is coarse."""
    assert describe_speed(3, 0.0, "sight").startswith(", 3,000,000,000 photos/s")
    assert describe_speed(3, 2.0, "sight") == ", 1.5 photos/s, sight"
