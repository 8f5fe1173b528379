"""`index` and `folders` as a user types them: what is printed, where, and with which exit code."""

import contextlib
import json
import os
import pty
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli_env import COUNTS, Desk, counts, names, photosearch, said
from toy import photo


@pytest.mark.option("index --json")
def test_an_index_counts_what_it_saw_and_says_what_ran(desk: Desk) -> None:
    result = desk.index("--json", "--provider", "cpu")
    summary = json.loads(result.stdout)
    assert isinstance(summary.pop("seconds"), float)
    assert summary == {
        **COUNTS, "new": 3, "not_scored": 0, "skipped_rows": 0, "stopped": False, "rescored_reasons": {},
        "skipped_files": {}, "provider": "cpu", "models": ["toy"],
    }  # fmt: skip
    assert said(result) == ["3 photos: 3 new; S, toy on cpu"]
    assert counts(desk.index("--json")) == {**COUNTS, "unchanged": 3}
    assert said(desk.index()) == ["3 photos: 0 new, 3 unchanged; S"]


def test_counts_add_up_over_moves_losses_and_broken_files(desk: Desk) -> None:
    desk.index()
    (desk.photos / "red.jpg").rename(desk.photos / "2019" / "rot.jpg")
    (desk.photos / "2019" / "blue.webp").unlink()
    (desk.photos / "broken.jpg").write_bytes(b"no photo")
    photo(desk.photos / "green.bmp", "green")
    result = desk.index("--json")
    assert counts(result) == {**COUNTS, "new": 1, "unchanged": 1, "moved": 1, "removed": 1, "unreadable": 1}
    assert said(result) == [
        "4 photos: 1 new, 1 unchanged, 1 moved, 1 unreadable, 1 removed; S, toy on cpu",
        "`photosearch errors` says why photos were unreadable.",
    ]
    assert counts(desk.index("--json")) == {**COUNTS, "unchanged": 3, "unreadable": 1}
    photo(desk.photos / "2019" / "blue.webp", "blue", lossless=True)
    photo(desk.photos / "green.bmp", "red", size=(32, 32))
    assert counts(desk.index("--json")) == {**COUNTS, "unchanged": 2, "returned": 1, "changed": 1, "unreadable": 1}


@pytest.mark.option("index --force")
def test_what_is_scored_again_is_said_and_why(desk: Desk) -> None:
    desk.index()

    def again(*options: object) -> tuple[dict[str, int], list[str]]:
        result = desk.run("index", *options, "--json")
        told = json.loads(result.stdout)
        assert told["rescored"] == 3
        return told["rescored_reasons"], [line for line in said(result) if line.startswith("3 photos")]

    assert again("--force") == ({"forced": 3}, ["3 photos: 0 new, 3 scored again (forced); S, toy on cpu"])
    assert again(desk.photos, "--tiles", "4") == (
        {"other tiles": 3}, ["3 photos: 0 new, 3 scored again (other tiles); S, toy on cpu"],
    )  # fmt: skip
    assert again(desk.photos, "--model", desk.other) == (
        {"another model": 3}, ["3 photos: 0 new, 3 scored again (another model); S, other on cpu"],
    )  # fmt: skip


def test_files_that_are_passed_over_are_counted_by_extension(desk: Desk) -> None:
    for name in ("a.mp4", "b.MP4", "notes.txt", "README"):
        (desk.photos / name).write_bytes(b"x")
    result = desk.index("--json")
    assert json.loads(result.stdout)["skipped_files"] == {".mp4": 2, ".txt": 1, "": 1}
    assert said(result)[-1] == "passed over: 2 .mp4, 1 without an extension, 1 .txt"


def test_an_extra_that_would_read_what_is_passed_over_is_named() -> None:
    from collections import Counter

    from photosearch.cli.index import _describe_passed_over
    from photosearch.photos.walk import INSTALL_HINTS

    extension = ".cr2"
    told = _describe_passed_over(Counter({extension: 7, ".mp4": 2}))
    would = f"; would be read with {INSTALL_HINTS[extension]}" if extension in INSTALL_HINTS else ""
    assert told == f"passed over: 7 .cr2, 2 .mp4{would}"
    many = Counter({f".{i}": 10 - i for i in range(10)})
    assert _describe_passed_over(many).endswith(", 3 .7, 3 others")


def test_one_photo_is_one_photo(desk: Desk) -> None:
    photo(desk.folder / "one" / "a.png", "red")
    assert said(desk.run("index", desk.folder / "one", "--model", desk.model)) == ["1 photo: 1 new; S, toy on cpu"]
    assert desk.run("find", "red").stderr == "1 photo by toy\n"


@pytest.mark.option("index --quiet", "index --verbose", "index --retry")
def test_quiet_says_nothing_and_verbose_names_what_could_not_be_read(desk: Desk) -> None:
    (desk.photos / "broken.jpg").write_bytes(b"no photo")
    quiet = desk.index("--quiet")
    assert (quiet.exit_code, quiet.output) == (0, "")
    assert json.loads(desk.index("-q", "--json").stdout)["unreadable"] == 1
    line = f"{desk.photos}/broken.jpg: not a photo in a known format"
    assert line in said(desk.index("--verbose", "--retry"))
    assert line not in said(desk.index("--retry"))
    assert desk.run("index", desk.folder / "nowhere", "-q").stderr.startswith("photosearch: ")


def test_index_without_a_folder_takes_all_that_are_known(desk: Desk) -> None:
    result = desk.run("index", "--model", desk.model)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "photosearch: no folder given, and none is known yet; name one: photosearch index FOLDER\n"
    )
    desk.index()
    assert counts(desk.run("index", "--json")) == {**COUNTS, "unchanged": 3}


def test_the_same_folder_named_twice_in_one_run_is_looked_at_once(desk: Desk) -> None:
    assert counts(desk.index(desk.photos / "2019", "--json")) == {**COUNTS, "new": 3}


def test_nothing_is_made_where_nothing_could_be_indexed(desk: Desk) -> None:
    for wrong in (desk.folder / "nowhere", desk.model):
        assert desk.run("index", wrong, "--model", desk.model).exit_code == 1
    assert not desk.library.parent.exists()
    assert "no library here yet" in desk.run("find", "red").stderr


@pytest.mark.parametrize("known", [False, True])
def test_a_file_is_no_folder(desk: Desk, known: bool) -> None:
    if known:
        desk.index()
    result = desk.run("index", desk.photos / "red.jpg", "--model", desk.model)
    assert (result.exit_code, result.stderr) == (
        1, f"photosearch: {desk.photos}/red.jpg: is a file; name its folder\n",
    )  # fmt: skip


@pytest.mark.option("index --require-gpu", "index --provider")
def test_a_gpu_that_is_required_and_is_not_there_is_an_error(desk: Desk) -> None:
    result = desk.index("--require-gpu", "--provider", "cpu")
    assert result.exit_code == 1
    assert result.stderr == "photosearch: no GPU can be used: the CPU was asked for\n"


def test_a_tilde_is_the_home_folder_where_no_shell_saw_to_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(desk.folder))
    monkeypatch.setenv("PHOTOSEARCH_DB", "~/mine.db")
    assert counts(desk.run("index", "~/photos", "--model=~/toy.onnx", "--json")) == {**COUNTS, "new": 3}
    assert (desk.folder / "mine.db").exists()
    assert names(desk.run("find", "red", "--under=~/photos/2019", "--json", "--db=~/mine.db")) == ["white.png"]
    assert desk.run("find", "red", "--copy-to=~/album").exit_code == 0
    assert len(list((desk.folder / "album").iterdir())) == 2


def test_the_library_is_named_before_or_after_the_command(desk: Desk) -> None:
    other = desk.folder / "other.db"
    assert desk.index("--db", other).exit_code == 0
    assert desk.run("find", "red").exit_code == 1, "nothing lies in one's own"
    calls = [
        ("--db", other, "find", "red"), ("find", "--db", other, "red"), ("find", "red", "--db", other),
        ("--db", "nowhere.db", "find", "red", "--db", other),
        ("folders", "--db", other, "set", desk.photos), ("--db", other, "folders", "set", desk.photos),
        ("folders", "set", desk.photos, "--db", other), ("--db", other, "truth", "export"),
        ("--db", other, "models", "use", "toy"),
    ]  # fmt: skip
    for call in calls:
        assert desk.run(*call).exit_code == 0, call
    assert not desk.library.exists()
    assert json.loads(desk.run("--db", other, "status", "--json").stdout)["database"] == str(other)


def test_tiles_then_plainly_then_another_model_then_a_switch(desk: Desk) -> None:
    """The transcript of issue 18, on a toy that sees the same through both files."""
    assert said(desk.index("--tiles", "4")) == ["3 photos: 3 new; S, toy on cpu"]
    assert said(desk.run("index", desk.photos)) == ["3 photos: 0 new, 3 unchanged; S"], "an hour's work is kept"
    sub = desk.photos / "2019"
    assert said(desk.run("index", sub, "--model", desk.other)) == [
        f"{sub} is indexed so from now on: models: default, {desk.other}",
        "2 photos: 0 new, 2 scored again (another model); S, other on cpu",
        "find still uses toy; `photosearch models use other` switches",
    ]
    result = desk.run("find", "red")
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == [f"{sub}/white.png",
                                                                           f"{desk.photos}/red.jpg"]  # fmt: skip
    assert said(result) == ["2 photos by toy"]
    assert said(desk.run("models", "use", "other")) == [
        "find uses other from now on; it has looked at 2 of 3 pictures; photosearch index looks at the others"
    ]
    result = desk.run("find", "red")
    assert [line.split("\t")[1] for line in result.stdout.splitlines()] == [f"{sub}/white.png"]
    assert said(result) == ["1 photo by other"]
    assert said(desk.run("index")) == ["3 photos: 0 new, 1 scored again (another model), 2 unchanged; S, other on cpu"]
    assert said(desk.run("find", "red")) == ["2 photos by other"]
    assert said(desk.run("models", "use", "toy")) == ["find uses toy from now on; it has looked at 3 of 3 pictures"]


@pytest.mark.option("index --tiles")
def test_tile_scores_and_plain_scores_live_side_by_side(desk: Desk) -> None:
    desk.index("--tiles", "4")
    assert counts(desk.index("--json", "--tiles", "0")) == {**COUNTS, "rescored": 3}
    assert counts(desk.index("--json", "--tiles", "4")) == {**COUNTS, "unchanged": 3}
    models = json.loads(desk.run("status", "--json").stdout)["models"]
    assert sorted((m["name"], m["tiles"], m["images"]) for m in models) == [("toy", 0, 3), ("toy", 4, 3)]


@pytest.mark.option("index --model")
def test_two_models_in_one_run(desk: Desk) -> None:
    result = desk.index("--model", desk.other, "--json")
    assert json.loads(result.stdout)["models"] == ["toy", "other"]
    assert said(result) == ["3 photos: 3 new; S, toy and other on cpu"]
    assert [names(desk.run("find", "red", "--json", "--model", m)) for m in ("toy", "other")] == [
        ["white.png", "red.jpg"]
    ] * 2


def test_a_model_that_looked_from_a_file_is_known_by_its_name(desk: Desk) -> None:
    desk.index()
    assert counts(desk.run("index", desk.photos, "--model", "toy", "--json")) == {**COUNTS, "unchanged": 3}


@pytest.mark.option("index --include")
def test_exclude_index_include_index(desk: Desk) -> None:
    """The transcript of issue 18: excluded photos leave find at once, and come back unopened."""
    desk.index()
    assert said(desk.run("index", desk.photos, "--exclude", "2019")) == [
        f"{desk.photos} is indexed so from now on: excluded: 2019",
        "1 photo: 0 new, 1 unchanged, 2 excluded; S",
    ]
    assert names(desk.run("find", "red or blue", "--json")) == ["red.jpg"]
    assert said(desk.run("index")) == ["1 photo: 0 new, 1 unchanged; S"], "it remembers"
    assert said(desk.run("index", desk.photos, "--include", "2019")) == [
        f"{desk.photos} is indexed so from now on: excluded: nothing extra",
        "3 photos: 0 new, 1 unchanged, 2 back; S",
    ]
    assert names(desk.run("find", "red or blue", "--json")) == ["blue.webp", "white.png", "red.jpg"]
    assert said(desk.run("index")) == ["3 photos: 0 new, 3 unchanged; S"]


@pytest.mark.option("index --prune")
def test_a_drive_that_is_away_empties_nothing(desk: Desk) -> None:
    desk.index()
    away = desk.photos.rename(desk.folder / "away")
    desk.photos.mkdir()
    assert said(desk.run("index"))[0] == (
        f"{desk.photos}: 3 of 3 photos are gone; is a drive away? Nothing was removed. "
        "If they are gone for good: index --prune"
    )
    assert counts(desk.run("index", "--prune", "--json")) == {**COUNTS, "removed": 3}
    desk.photos.rmdir()
    away.rename(desk.photos)
    assert counts(desk.run("index", "--json")) == {**COUNTS, "returned": 3}


@pytest.mark.option("folders --json")
def test_folders_are_listed_with_their_counts_and_settings(desk: Desk) -> None:
    assert "no library here yet" in desk.run("folders").stderr
    (desk.photos / "broken.jpg").write_bytes(b"no photo")
    desk.index("--exclude", "*.webp", "--tiles", "4")
    desk.run("index", desk.photos / "2019", "--model", desk.other, "--follow-symlinks")
    result = desk.run("folders")
    assert result.stdout.splitlines() == [
        f"{desk.photos}\t3 photos, 1 unreadable\t\tdefault; tiles: 4; excluded: *.webp",
        f"{desk.photos}/2019\t1 photo\t\tdefault, {desk.other}; tiles: 4; excluded: *.webp; links: followed",
    ]
    assert result.stderr.startswith("passed over everywhere: ")
    rows = json.loads(desk.run("folders", "--json").stdout)
    numbers = {"unreadable": 1, "removed": 0, "excluded": 0, "there": True}
    assert rows[0] == {
        "path": str(desk.photos), "photos": 3, **numbers,
        "settings": {"tiles": 4, "exclude": ["*.webp"]},
    }  # fmt: skip
    desk.photos.rename(desk.folder / "away")
    assert [row["there"] for row in json.loads(desk.run("folders", "--json").stdout)] == [False, False]
    assert desk.run("folders").stdout.splitlines()[0].split("\t")[2] == "away"


@pytest.mark.option("folders set --tiles", "folders set --reset")
def test_a_folders_settings_are_set_and_reset(desk: Desk) -> None:
    desk.index()
    usual = "excluded: nothing extra; included: nothing extra; links: not followed"
    effect = "run photosearch index for it to take effect"
    assert said(desk.run("folders", "set", desk.photos / "2019", "--tiles", "4")) == [
        f"{desk.photos}/2019 is indexed so from now on: models: default; tiles: 4; {usual}; {effect}"
    ]
    assert counts(desk.run("index", "--json")) == {**COUNTS, "rescored": 2, "unchanged": 1}
    assert said(desk.run("folders", "set", desk.photos / "2019", "--reset")) == [
        f"{desk.photos}/2019 is indexed so from now on: models: default; tiles: the model's default; {usual}; {effect}"
    ]
    assert [row["path"] for row in json.loads(desk.run("folders", "--json").stdout)] == [str(desk.photos)]


@pytest.mark.option("folders drop --yes")
def test_a_folder_is_dropped_when_that_is_confirmed(desk: Desk) -> None:
    desk.index()
    desk.run("index", desk.photos / "2019", "--model", desk.other)
    desk.run("mark", desk.photos / "red.jpg", "--is", "red")
    sub = desk.photos / "2019"
    result = desk.run("folders", "drop", sub)
    assert (result.exit_code, result.stderr) == (
        1, f"photosearch: this would forget {sub}: 2 photos and your marks on them; add --yes if that is meant\n",
    )  # fmt: skip
    assert said(desk.run("folders", "drop", sub, "--yes")) == ["2 photos forgotten"]
    assert [row["path"] for row in json.loads(desk.run("folders", "--json").stdout)] == [str(desk.photos)]
    assert (sub / "white.png").exists()
    assert said(desk.run("folders", "drop", desk.photos, "--yes")) == ["1 photo forgotten"]
    assert desk.run("folders").stderr == "no folder is known yet; name one: photosearch index FOLDER\n"
    assert len(desk.run("truth", "export").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("index", "nowhere"), "nowhere: no such folder"),
        (("index", "--model", "nothing"), "no model 'nothing': give an .onnx file, or one of bird-classic, "),
        (("index", "--provider", "abacus"), "no provider 'abacus'"),
        (("index", "--tiles", "5"), "can't use 5 tiles, only 0, "),
        (("folders", "set", "nowhere", "--tiles", "4"), "nowhere: not in any indexed folder; indexed are "),
        (("folders", "set", "PHOTOS", "--tiles", "5"), "toy is not calibrated for 5 tiles"),
        (("folders", "set", "PHOTOS", "--model", "nothing"), "no model 'nothing'"),
        (("folders", "drop", "nowhere"), "nowhere: not a folder that is known; known are "),
    ],
)
def test_wrong_words_get_one_line_change_nothing_and_exit_1(
    desk: Desk, arguments: tuple[str, ...], message: str
) -> None:
    desk.index()
    before = desk.run("folders", "--json").stdout
    result = desk.run(*(str(desk.photos) if a == "PHOTOS" else a for a in arguments))
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("photosearch: ")
    assert message in result.stderr
    assert result.stdout == ""
    assert desk.run("folders", "--json").stdout == before


@pytest.mark.slow
def test_ctrl_c_finishes_the_batch_says_how_to_go_on_and_exits_130(desk: Desk) -> None:
    for i in range(300):
        photo(desk.photos / f"{i}.png", "red", size=(i + 1, 600))
    run = photosearch("index", desk.photos, "--model", desk.model, "--batch-size", 4, "--workers", 1, "--json")
    while run.poll() is None and not status_photos(desk):
        time.sleep(0.01)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 130, err
    assert "Finishing the batch; once more to stop at once." in err
    assert "the same command goes on from here" in err
    new = json.loads(out)["new"]
    assert 0 < new < 303
    assert counts(desk.index("--json")) == {**COUNTS, "new": 303 - new, "unchanged": new}


def test_at_a_terminal_ctrl_c_says_how_far_it_came(desk: Desk) -> None:
    for i in range(300):
        photo(desk.photos / f"{i}.png", "red", size=(i + 1, 600))
    screen, stderr = pty.openpty()
    program = ("index", desk.photos, "--model", desk.model, "--batch-size", 4, "--workers", 1)
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


def status_photos(desk: Desk) -> int:
    result = desk.run("status", "--json")
    return json.loads(result.stdout).get("photos", 0) if result.exit_code == 0 else 0


def test_a_relative_folder_is_meant_from_here(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    desk.run("index", "photos", "--model", "toy.onnx")
    monkeypatch.chdir(desk.photos)
    assert counts(desk.run("index", ".", "--json")) == {**COUNTS, "unchanged": 3}
    assert Path(json.loads(desk.run("folders", "--json").stdout)[0]["path"]) == Path(os.path.realpath(desk.photos))


def test_a_second_ctrl_c_ends_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    from photosearch.cli.index import _stopping

    before = signal.getsignal(signal.SIGINT)
    with _stopping() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.is_set()
        assert capsys.readouterr().err == "\nFinishing the batch; once more to stop at once.\n"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
