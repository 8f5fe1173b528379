"""`find` and `labels` as a user types them: what is asked, what is printed, in which form."""

import csv
import io
import json
import os
import sys
import time

import pytest
from cli_env import Desk, names, photosearch, said
from toy import photo

from photosearch.cli import find as find_module

KEYS = ["path", "label", "score", "taken", "taken_from", "model"]


def test_find_prints_the_best_first_and_says_by_whom(desk: Desk) -> None:
    desk.index()
    result = desk.run("find", "red")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    # JPEG keeps a red square at 254 of 255; the white one counts as red too.
    assert [(row[0], os.path.basename(row[1])) for row in rows] == [("1.000", "white.png"), ("0.996", "red.jpg")]
    assert {row[3] for row in rows} == {"by file"}
    assert result.stderr == "2 photos by toy\n"


def test_find_takes_a_query_with_and_without_quotes(desk: Desk) -> None:
    desk.index()
    assert names(desk.run("find", "red and not blue", "--json")) == ["red.jpg"]
    assert names(desk.run("find", "red", "and", "not", "blue", "--json")) == ["red.jpg"]
    assert names(desk.run("find", "(red", "or", "blue)", "and", "not", "green", "--json")) == ["blue.webp", "red.jpg"]


@pytest.mark.option("find --json")
def test_finds_json_has_stable_keys(desk: Desk) -> None:
    desk.index()
    os.utime(desk.photos / "red.jpg", (0, 0))
    result = desk.run("find", "RED", "and", "not", "blue", "--json")
    (row,) = json.loads(result.stdout)
    assert list(row) == [*KEYS, "there"]
    assert row["label"] == "RED and not blue"
    assert row["path"] == str(desk.photos / "red.jpg")
    assert (row["taken_from"], row["model"], row["there"]) == ("file", "toy", True)
    assert result.stderr == ""
    assert json.loads(desk.run("find", "RED", "--json").stdout)[0]["label"] == "red"


@pytest.mark.option("find --csv", "find --null")
def test_finds_csv_and_paths(desk: Desk) -> None:
    odd = photo(desk.photos / 'a,b "c"\nd.png', "red")
    desk.index()
    rows = list(csv.reader(io.StringIO(desk.run("find", "red", "--csv", "--min-score", "1").stdout)))
    assert rows[0] == KEYS
    assert {(row[0], row[5]) for row in rows[1:]} == {
        (str(odd), "toy"), (str(desk.photos / "2019" / "white.png"), "toy"),
    }  # fmt: skip
    null = desk.run("find", "red", "-0").stdout_bytes
    assert set(null.split(b"\0")) == {
        b"", os.fsencode(odd), os.fsencode(desk.photos / "red.jpg"), os.fsencode(desk.photos / "2019" / "white.png"),
    }  # fmt: skip
    assert desk.run("find", "red", "--null").stdout_bytes == null
    assert desk.run("find", "blue", "--paths", "--limit", "1").stdout.count("\n") == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems allow UTF-8 names only")
def test_a_name_that_is_not_utf8_comes_out_as_it_went_in(desk: Desk) -> None:
    odd = os.path.join(os.fsencode(desk.photos), b"r\xffd.png")
    photo(desk.photos / "x.png", "red").rename(os.fsdecode(odd))
    desk.index()
    assert odd in desk.run("find", "red", "-0").stdout_bytes.split(b"\0")
    assert b"r\xffd.png\t" in desk.run("find", "red").stdout_bytes
    assert desk.run("find", "red", "--copy-to", desk.folder / "album").exit_code == 0
    assert b"r\xffd.png" in os.listdir(os.fsencode(desk.folder / "album"))


def test_a_terminals_commands_in_a_name_are_not_obeyed(desk: Desk) -> None:
    photo(desk.photos / "x\x1b[31m[bold]y.png", "red")
    desk.index()
    out = desk.run("find", "red").stdout
    assert "\x1b" not in out
    assert "x\\x1b[31m[bold]y.png" in out


@pytest.mark.option(
    "find --since", "find --until", "find --file-dates", "find --under", "find --min-score", "find --limit"
)  # fmt: skip
def test_find_by_date_place_score_and_number(desk: Desk) -> None:
    for name, year in (("red.jpg", 2001), ("2019/white.png", 2019), ("2019/blue.webp", 2020)):
        noon = time.mktime((year, 6, 15, 12, 0, 0, 0, 0, -1))
        os.utime(desk.photos / name, (noon, noon))
    desk.index()

    def found(*more: object) -> list[str]:
        return names(desk.run("find", "red or blue", "--json", *more))

    assert found() == ["blue.webp", "white.png", "red.jpg"]
    assert found("--since", "2019") == [], "nothing dates them but their files"
    assert found("--since", "2019", "--file-dates") == ["blue.webp", "white.png"]
    assert found("--until", "2019-06-15", "--file-dates") == ["white.png", "red.jpg"]
    assert found("--since", "2019-06", "--until", "2019-06", "--file-dates") == ["white.png"]
    assert found("--under", desk.photos / "2019") == ["blue.webp", "white.png"]
    assert found("--under", desk.folder) == ["blue.webp", "white.png", "red.jpg"]
    assert found("--min-score", "0.999") == ["blue.webp", "white.png"]
    assert found("--limit", "1") == found("-n", "1") == ["blue.webp"]
    assert found("--limit", "0") == ["blue.webp", "white.png", "red.jpg"]


def test_a_date_in_a_name_dates_a_photo(desk: Desk) -> None:
    photo(desk.photos / "IMG_20240531_101112.png", "red")
    desk.index()
    rows = json.loads(desk.run("find", "red", "--since", "2024-05-31", "--json").stdout)
    assert [(row["taken"], row["taken_from"]) for row in rows] == [("2024-05-31T10:11:12", "name")]


def test_a_table_that_is_cut_says_how_many_there_are(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.index()
    monkeypatch.setattr(find_module, "TABLE_PHOTOS", 1)
    result = desk.run("find", "red")
    assert (result.stdout.count("\n"), result.stderr) == (1, "the best 1 of 2 by toy; --limit 0 shows all\n")
    result = desk.run("find", "red", "-n", "0")
    assert (result.stdout.count("\n"), result.stderr) == (2, "2 photos by toy\n")
    assert desk.run("find", "red", "-n", "1").stderr == "1 photo by toy\n"
    assert len(names(desk.run("find", "red", "--json"))) == 2, "a program gets all"
    monkeypatch.setattr(find_module, "MAX_COUNTED", 1)
    assert desk.run("find", "red").stderr == "the best 1 of more than 1 by toy; --limit 0 shows all\n"


def test_thousands_are_told_apart() -> None:
    assert find_module.describe_found(100, 4512, "toy") == "the best 100 of 4,512 by toy; --limit 0 shows all"


def test_nothing_found_is_no_error(desk: Desk) -> None:
    desk.index()
    result = desk.run("find", "green and not red", "--json")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "[]\n", "nothing found by toy\n")
    result = desk.run("find", "green and not red", "--csv")
    assert (result.exit_code, result.stdout) == (0, ",".join(KEYS) + "\n")
    assert desk.run("find", "green and not red").stdout == ""


@pytest.mark.option("find --copy-to", "find --link-to")
def test_an_album_is_made_and_nothing_is_printed_but_what_was_done(desk: Desk) -> None:
    desk.index()
    album = desk.folder / "album"
    result = desk.run("find", "red", "--copy-to", album)
    assert (result.stdout, said(result)) == ("", [f"{album}: 2 copied"])
    assert said(desk.run("find", "red", "--copy-to", album)) == [f"{album}: 0 copied, 2 were there already"]
    links = desk.folder / "links"
    assert said(desk.run("find", "red", "--link-to", links)) == [f"{links}: 2 linked"]
    assert (links / "red.jpg").is_symlink()


@pytest.mark.option("find --model")
def test_the_model_that_is_named_answers_in_place_of_the_librarys_own(desk: Desk) -> None:
    desk.index()
    desk.run("index", desk.photos / "2019", "--model", desk.other)
    assert names(desk.run("find", "red", "--json")) == ["white.png", "red.jpg"]
    result = desk.run("find", "red", "--json", "--model", "other")
    assert names(result) == ["white.png"]
    assert json.loads(result.stdout)[0]["model"] == "other"
    assert names(desk.run("find", "red", "--json", "--model", desk.other)) == ["white.png"]
    assert desk.run("find", "red", "--model", "other").stderr == "1 photo by other\n"


MODEL_OPTION = [("find", "red"), ("labels",), ("report",), ("sample", "red"), ("judge", "red", "1")]


@pytest.mark.parametrize("command", MODEL_OPTION)
def test_a_model_that_has_looked_at_nothing_is_an_error_that_lists_the_right_ones(
    desk: Desk, command: tuple[str, ...]
) -> None:
    desk.index()
    for name in ("nope", "bird-photo"):
        result = desk.run(*command, "--model", name)
        assert (result.exit_code, result.stdout, result.stderr) == (
            1, "", f"photosearch: {name} has not indexed any photos in this library; available models: toy\n",
        )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("find", "rad"), "no label 'rad'; the nearest are: red"),
        (("find", "red and"), "the query ends where a label should stand"),
        (("find", "red", "--since", "soon"), "'soon' is not a date; write it as 2024, 2024-05 or 2024-05-31"),
        (("find", "red", "--json", "--csv"), "choose one"),
        (("find", "red", "--paths", "-0"), "choose one"),
        (("find", "red", "--text", "--label"), "choose one"),
        (("find", "red", "--sort", "size"), "--sort size: give best or date"),
    ],
)
def test_wrong_words_get_one_line_and_exit_1(desk: Desk, arguments: tuple[str, ...], message: str) -> None:
    desk.index()
    result = desk.run(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("photosearch: ")
    assert message in result.stderr
    assert result.stdout == ""


def test_a_query_before_anything_was_indexed_says_what_to_do(desk: Desk) -> None:
    assert desk.run("find", "red").stderr == (
        f"photosearch: {desk.library}: no library here yet; make one with `photosearch index FOLDER`\n"
    )


@pytest.mark.option("labels --json")
def test_labels_tell_what_can_be_asked(desk: Desk) -> None:
    desk.index()
    rows = json.loads(desk.run("labels", "--json").stdout)
    assert rows[0] == {"label": "red", "model": "toy", "threshold": 0.5, "saved": False}
    assert desk.run("labels").stdout == "red\ttoy\t0.500\ngreen\ttoy\t0.500\nblue\ttoy\t0.500\n"


def test_results_can_be_piped_into_a_program_that_stops_reading(desk: Desk) -> None:
    desk.index()
    find = photosearch("find", "red")
    find.stdout.close()
    assert "Traceback" not in find.stderr.read()
    find.stderr.close()
    find.wait(timeout=60)
