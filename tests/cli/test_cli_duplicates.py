"""`duplicates`: reasons, bursts, and spare photos moved away and back."""

import csv
import io
import json
import os
from pathlib import Path

import pytest
from cli_env import CliEnv, fail, notes
from PIL import Image
from toy import photo

from photosearch.cli import confirm


@pytest.fixture
def copies(cli_env: CliEnv) -> CliEnv:
    """red.jpg has an older copy in sub/."""
    copy = cli_env.photos / "sub" / "old.jpg"
    copy.parent.mkdir()
    copy.write_bytes((cli_env.photos / "red.jpg").read_bytes())
    os.utime(copy, (1_000_000_000, 1_000_000_000))
    (copy.parent / "old.jpg.xmp").write_text("<x/>")
    cli_env.index()
    return cli_env


@pytest.mark.option("duplicates --csv", "duplicates --keep")
def test_duplicates_csv_tells_reasons_and_keep_changes_them(copies: CliEnv) -> None:
    def read(*options: str) -> list[tuple[str, str, str]]:
        rows = list(csv.DictReader(io.StringIO(copies.run("duplicates", "--csv", *options).stdout)))
        assert list(rows[0]) == ["group", "path", "how", "reason", "size_bytes", "width", "height"]
        return [(os.path.basename(row["path"]), row["how"], row["reason"]) for row in rows]

    assert read() == [("old.jpg", "kept", "older file"), ("red.jpg", "same content", "newer file")]
    (copies.photos / "red (1).jpg").write_bytes((copies.photos / "red.jpg").read_bytes())
    copies.index()
    assert read("--keep", f"folder:{copies.photos}")[0] == ("old.jpg", "kept", "older file; original")
    assert read("--keep", f"folder:{copies.photos}/sub")[0][2] == f"in {copies.photos}/sub"
    assert read("--keep", "older,larger")[0] == ("old.jpg", "kept", "older file")
    (copies.photos / "sub" / "old.jpg").rename(copies.photos / "sub" / "old copy.jpg")
    copies.index()
    assert read()[0] == ("red.jpg", "kept", "original")
    assert read("--keep", "older")[0][0] == "old copy.jpg"
    assert len(read()) == 3
    assert fail(copies.run("duplicates", "--keep", "newest")).startswith("--keep newest: no such criterion")


@pytest.mark.option("duplicates --move-spares", "duplicates --undo", "duplicates --yes")
def test_move_spares_shows_plan_and_moves_only_with_yes(copies: CliEnv) -> None:
    spare, folder = copies.photos / "red.jpg", copies.folder / "spare"
    words = ("duplicates", "--exact", "--keep", "older", "--move-spares", folder)
    before = spare.read_bytes()
    shown = copies.run(*words)
    assert shown.stdout == f"{spare}\t{folder}/red.jpg\t{len(before):,}\tnewer file\n"
    assert notes(shown)[-1] == "Nothing was moved; add --yes to move them."
    assert "would move 1 spare photo and 0 files beside them, 1 KB" in notes(shown)[0]
    assert (spare.exists(), folder.exists()) == (True, False)
    told = json.loads(copies.run(*words, "--json").stdout)
    assert told["files"][0] == {
        "from": str(spare), "to": f"{folder}/red.jpg", "size_bytes": len(before), "reason": "newer file",
        "kept": str(copies.photos / "sub" / "old.jpg"),
    }  # fmt: skip
    moved = copies.run(*words, "--yes")
    log = f"{folder}/photosearch-moved-1.jsonl"
    assert notes(moved)[-2:] == [
        f"{folder}: moved 1 photo and 0 files beside them, 1 KB",
        f"To move them back: photosearch duplicates --undo {log}",
    ]
    assert ((folder / "red.jpg").read_bytes(), spare.exists()) == (before, False)
    assert notes(copies.run(*words))[-1] == "Nothing to move."
    assert notes(copies.run("duplicates", "--undo", log)) == ["Moved back 1 photo and 0 files beside them."]
    assert spare.read_bytes() == before
    copies.run(*words, "--yes")
    spare.write_bytes(b"another file")
    undone = copies.run("duplicates", "--undo", f"{folder}/photosearch-moved-2.jsonl")
    assert (undone.exit_code, spare.read_bytes()) == (1, b"another file")
    assert undone.stderr.splitlines()[-1] == "Moved back 0 photos and 0 files beside them."


def test_move_spares_asks_on_a_terminal(copies: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirm, "is_interactive", lambda: True)
    words = ("duplicates", "--exact", "--move-spares", copies.folder / "spare")
    assert notes(copies.run(*words, input="n\n"))[-1].endswith("Nothing was moved.")
    assert (copies.photos / "red.jpg").exists()
    assert copies.run(*words, input="y\n").exit_code == 0
    assert not (copies.photos / "red.jpg").exists()


def test_move_spares_names_what_stays_and_exits_with_1(copies: CliEnv) -> None:
    spare = copies.photos / "red.jpg"
    data = spare.read_bytes()
    spare.write_bytes(data[:-1] + b"x")
    result = copies.run("duplicates", "--exact", "--move-spares", copies.folder / "spare", "--yes")
    assert result.exit_code == 1
    assert f"{spare}: not moved: has changed since it was indexed" in result.stderr
    log = copies.folder / "spare" / "photosearch-moved-1.jsonl"
    log.write_text(log.read_text().replace("moved spares", "something"))
    assert fail(copies.run("duplicates", "--undo", log)).startswith(f"{log}: is no log of moved photos")
    assert fail(copies.run("duplicates", "--move-spares", copies.photos)).startswith(f"{copies.photos}: holds the")
    assert "can't be combined" in fail(copies.run("duplicates", "--bursts", "--undo", log))
    assert fail(copies.run("duplicates", "--undo", log, "--exact")).endswith("leave out --exact")


@pytest.mark.option("duplicates --bursts")
def test_bursts_mark_sharpest(cli_env: CliEnv) -> None:
    for second, width in ((1, 24), (2, 25)):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"2024:05:06 07:08:0{second}"
        picture = Image.linear_gradient("L").resize((60, 40)).convert("RGB")
        picture.paste((255, 255, 255), (10, 5, width, 30))
        picture.save(cli_env.photos / f"shot{second}.jpg", exif=exif)
    photo(cli_env.photos / "other.jpg", "green")
    cli_env.index()
    lines = [line.split("\t") for line in cli_env.run("duplicates", "--bursts").stdout.splitlines()]
    assert [(line[0], Path(line[-1]).name, line[3]) for line in lines] == [
        ("1", "shot1.jpg", "2024-05-06 07:08:01"),
        ("1", "shot2.jpg", "2024-05-06 07:08:02"),
    ]
    ((first, second_shot),) = json.loads(cli_env.run("duplicates", "--bursts", "--json").stdout)
    assert first["sharpest"] is (first["sharpness"] >= second_shot["sharpness"])
    others = [shot["path"] for shot in (first, second_shot) if not shot["sharpest"]]
    assert cli_env.run("duplicates", "--bursts", "-0").stdout.split("\0")[:-1] == others
    table = list(csv.reader(io.StringIO(cli_env.run("duplicates", "--bursts", "--csv").stdout)))
    assert (table[0][:5], len(table)) == (["burst", "path", "sharpest", "sharpness", "taken"], 3)
    assert "leave out --exact" in fail(cli_env.run("duplicates", "--bursts", "--exact"))


@pytest.mark.parametrize(("options", "said"), [
    (["--move-spares", "d", "--paths"], "--paths"), (["--move-spares", "d", "-0"], "-0"),
    (["--move-spares", "d", "--csv"], "--csv"), (["--move-spares", "d", "--bursts"], "--move-spares"),
    (["--bursts", "--exact"], "--exact"), (["--bursts", "--keep", "raw"], "--keep"),
    (["--undo", "a.log", "--under", "x"], "--under"), (["--undo", "a.log", "--json"], "--json"),
])  # fmt: skip
def test_options_that_mean_nothing_together_are_refused(copies: CliEnv, options: list[str], said: str) -> None:
    result = copies.run("duplicates", *options)
    assert result.exit_code == 1
    assert said in result.stderr
    assert len(result.stderr.splitlines()) == 1
