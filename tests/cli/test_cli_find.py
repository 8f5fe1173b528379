"""`find` by label, and `labels`: what is found, in which form it is printed."""

import csv
import io
import json
import os
import sys
import time

import pytest
from cli_env import CliEnv, fail, names, notes, photosearch
from toy import photo, toy_card, write_toy

import photosearch as package
from photosearch.cli.find import describe_found

COLUMNS = [
    "path", "question", "by", "score", "sure", "taken", "taken_from", "model", "place", "latitude", "longitude",
    "camera", "lens", "title", "caption", "keywords", "people", "rating", "text",
]  # fmt: skip
KEYS = ["path", "by", "score", "sure", "copies", "taken", "taken_from", "exists", "why"]


def test_find_prints_best_first(cli_env: CliEnv) -> None:
    cli_env.index()
    result = cli_env.run("find", "red")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    # JPEG keeps a red square at 254 of 255; the white one counts as red too.
    assert [(row[0], os.path.basename(row[1])) for row in rows] == [("1.000", "white.png"), ("0.996", "red.jpg")]
    assert {tuple(row[3:]) for row in rows} == {("file", "")}
    assert notes(result) == ["2 photos"]


def test_find_takes_query_with_and_without_quotes(cli_env: CliEnv) -> None:
    cli_env.index()
    assert names(cli_env.run("find", "red and not blue", "--json")) == ["red.jpg"]
    assert names(cli_env.run("find", "red", "and", "not", "blue", "--json")) == ["red.jpg"]
    assert names(cli_env.run("find", "(red", "or", "blue)", "and", "not", "green", "--json")) == [
        "blue.webp", "red.jpg",
    ]  # fmt: skip


@pytest.mark.option("find --json")
def test_find_json_keys(cli_env: CliEnv) -> None:
    cli_env.index()
    os.utime(cli_env.photos / "red.jpg", (0, 0))
    result = cli_env.run("find", "RED", "and", "not", "blue", "--json")
    answer = json.loads(result.stdout)
    (row,) = answer.pop("photos")
    assert answer == {
        "question": "RED and not blue", "sure": True, "ranked_by": "label", "labels": ["red", "blue"],
        "models": ["toy"], "since": None, "until": None, "more": False, "hints": [],
    }  # fmt: skip
    assert list(row) == KEYS
    assert row["path"] == str(cli_env.photos / "red.jpg")
    assert (row["taken_from"], row["by"], row["sure"], row["copies"], row["exists"]) == ("file", "label", True, 0, True)
    assert row["why"] == [f"label red {row['score']:.2f}"]
    assert result.stderr == ""
    assert json.loads(cli_env.run("find", "RED", "--json").stdout)["question"] == "red"


@pytest.mark.option("find --csv", "find --null")
def test_find_csv_and_paths(cli_env: CliEnv) -> None:
    odd = photo(cli_env.photos / 'a,b "c"\nd.png', "red")
    cli_env.index()
    rows = list(csv.reader(io.StringIO(cli_env.run("find", "red", "--csv", "--min-score", "1").stdout)))
    assert rows[0] == COLUMNS
    assert {(row[0], row[7]) for row in rows[1:]} == {
        (str(odd), "toy"), (str(cli_env.photos / "2019" / "white.png"), "toy"),
    }  # fmt: skip
    null = cli_env.run("find", "red", "-0").stdout_bytes
    paths = (odd, cli_env.photos / "red.jpg", cli_env.photos / "2019" / "white.png")
    assert set(null.split(b"\0")) == {b"", *map(os.fsencode, paths)}
    assert cli_env.run("find", "red", "--null").stdout_bytes == null
    assert cli_env.run("find", "blue", "--paths", "--limit", "1").stdout.count("\n") == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems allow UTF-8 names only")
def test_find_keeps_name_that_is_not_utf8(cli_env: CliEnv) -> None:
    odd = os.path.join(os.fsencode(cli_env.photos), b"r\xffd.png")
    photo(cli_env.photos / "x.png", "red").rename(os.fsdecode(odd))
    cli_env.index()
    assert odd in cli_env.run("find", "red", "-0").stdout_bytes.split(b"\0")
    assert b"r\xffd.png\t" in cli_env.run("find", "red").stdout_bytes
    assert cli_env.run("find", "red", "--copy-to", cli_env.folder / "album").exit_code == 0
    assert b"r\xffd.png" in os.listdir(os.fsencode(cli_env.folder / "album"))


def test_find_escapes_terminal_commands_in_name(cli_env: CliEnv) -> None:
    photo(cli_env.photos / "x\x1b[31m[bold]y.png", "red")
    cli_env.index()
    out = cli_env.run("find", "red").stdout
    assert "\x1b" not in out
    assert "x\\x1b[31m[bold]y.png" in out


@pytest.mark.option(
    "find --since", "find --until", "find --file-dates", "find --under", "find --min-score", "find --limit"
)  # fmt: skip
def test_find_filters_by_date_folder_score_and_limit(cli_env: CliEnv) -> None:
    for name, year in (("red.jpg", 2001), ("2019/white.png", 2019), ("2019/blue.webp", 2020)):
        noon = time.mktime((year, 6, 15, 12, 0, 0, 0, 0, -1))
        os.utime(cli_env.photos / name, (noon, noon))
    cli_env.index()

    def found(*more: object) -> list[str]:
        return names(cli_env.run("find", "red or blue", "--json", *more))

    assert found() == ["blue.webp", "white.png", "red.jpg"]
    assert found("--since", "2020") == [], "only their files date them"
    assert found("--since", "2019") == ["blue.webp", "white.png"], "as their folder's name does"
    assert found("--since", "2019", "--file-dates") == ["blue.webp", "white.png"]
    assert found("--until", "2019-06-15", "--file-dates") == ["white.png", "red.jpg"]
    assert found("--since", "2019-06", "--until", "2019-06", "--file-dates") == ["white.png"]
    assert found("--under", cli_env.photos / "2019") == ["blue.webp", "white.png"]
    assert found("--under", cli_env.folder) == ["blue.webp", "white.png", "red.jpg"]
    assert found("--min-score", "0.999") == ["blue.webp", "white.png"]
    assert found("--limit", "1") == found("-n", "1") == ["blue.webp"]
    assert found("--limit", "0") == ["blue.webp", "white.png", "red.jpg"]


@pytest.mark.option("find --copies")
def test_find_lists_a_picture_once_with_its_copies(cli_env: CliEnv) -> None:
    (cli_env.photos / "red again.jpg").write_bytes((cli_env.photos / "red.jpg").read_bytes())
    cli_env.index()
    rows = json.loads(cli_env.run("find", "red", "--json").stdout)["photos"]
    assert [(os.path.basename(row["path"]), row["copies"]) for row in rows] == [("white.png", 0), ("red again.jpg", 1)]
    assert cli_env.run("find", "red").stdout.splitlines()[1].endswith("\t+1 copy")
    rows = json.loads(cli_env.run("find", "red", "--json", "--copies").stdout)["photos"]
    assert [row["copies"] for row in rows] == [0, 0, 0]


def test_find_reads_date_in_name(cli_env: CliEnv) -> None:
    photo(cli_env.photos / "IMG_20240531_101112.png", "red")
    cli_env.index()
    rows = json.loads(cli_env.run("find", "red", "--since", "2024-05-31", "--json").stdout)["photos"]
    assert [(row["taken"], row["taken_from"]) for row in rows] == [("2024-05-31T10:11:12", "name")]


def test_find_counts_photos_left_out_of_table(cli_env: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    cli_env.index()
    monkeypatch.setattr(package, "TABLE_PHOTOS", 1, raising=False)
    result = cli_env.run("find", "red")
    assert (result.stdout.count("\n"), result.stderr) == (1, "The best 1 of 2 photos; --limit 0 shows all\n")
    assert cli_env.run("find", "red", "--sort", "date").stderr.startswith("The newest 1 of 2")
    result = cli_env.run("find", "red", "-n", "0")
    assert (result.stdout.count("\n"), result.stderr) == (2, "2 photos\n")
    assert cli_env.run("find", "red", "-n", "1").stderr == "1 photo\n"
    assert len(names(cli_env.run("find", "red", "--json"))) == 2, "a program gets all"
    monkeypatch.setattr(package, "MAX_COUNTED", 1, raising=False)
    assert "1 of more than 1" in cli_env.run("find", "red").stderr


def test_describe_found_groups_thousands() -> None:
    assert "best 100 of 4,512 photos" in describe_found(100, 4512, "")


def test_find_nothing_is_no_error(cli_env: CliEnv) -> None:
    cli_env.index()
    result = cli_env.run("find", "green and not red", "--json")
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["photos"], answer["sure"]) == (0, [], False)
    assert len(notes(result)) == 1
    assert "--min-score or --since" in notes(cli_env.run("find", "red", "--since", "2099", "--min-score", "1"))[0]
    result = cli_env.run("find", "green and not red", "--csv")
    assert (result.exit_code, result.stdout) == (0, ",".join(COLUMNS) + "\n")
    result = cli_env.run("find", "green and not red")
    assert (result.stdout, len(notes(result))) == ("", 1)


@pytest.mark.option("find --copy-to", "find --link-to")
def test_find_makes_albums_and_prints_only_counts(cli_env: CliEnv) -> None:
    cli_env.index()
    album = cli_env.folder / "album"
    result = cli_env.run("find", "red", "--copy-to", album)
    assert (result.stdout, notes(result)) == ("", [f"{album}: 2 copied"])
    assert notes(cli_env.run("find", "red", "--copy-to", album)) == [f"{album}: 0 copied, 2 already there"]
    inside = cli_env.photos / "2019" / "album"
    assert notes(cli_env.run("find", "red", "--copy-to", inside)) == [
        f"{inside}: 2 copied",
        f"photosearch: {inside} is in {cli_env.photos}, which is indexed: the next index lists these copies too",
    ]
    links = cli_env.folder / "links"
    assert notes(cli_env.run("find", "red", "--link-to", links)) == [f"{links}: 2 linked"]
    assert (links / "red.jpg").is_symlink()


@pytest.mark.option("find --model")
def test_find_model_replaces_default(cli_env: CliEnv) -> None:
    cli_env.index()
    cli_env.run("index", cli_env.photos / "2019", "--model", cli_env.other)
    assert names(cli_env.run("find", "red", "--json")) == ["white.png", "red.jpg"]
    result = cli_env.run("find", "red", "--json", "--model", "other")
    assert names(result) == ["white.png"]
    assert json.loads(result.stdout)["models"] == ["other"]
    assert names(cli_env.run("find", "red", "--json", "--model", cli_env.other)) == ["white.png"]
    assert notes(cli_env.run("find", "red", "--model", "other")) == ["1 photo (model other)"]


WITH_MODEL = [
    ("find", "red"), ("labels",), ("labels", "tree"), ("report",), ("sample", "red"), ("judge", "red", "1"),
    ("threshold", "set", "red", "0.5"), ("threshold", "reset", "red"), ("undo", "threshold", "red"),
]  # fmt: skip


@pytest.mark.option("labels tree --model", "threshold set --model", "threshold reset --model", "undo threshold --model")
@pytest.mark.parametrize("command", WITH_MODEL)
def test_model_without_photos_is_error_that_lists_models(cli_env: CliEnv, command: tuple[str, ...]) -> None:
    cli_env.index()
    for name in ("nope", "bird-photo"):
        error = fail(cli_env.run(*command, "--model", name))
        assert error.startswith(f"{name} ")
        assert "toy" in error


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("find", "rad"), ["'rad'", "red"]),
        (("find", "(red"), ["bracket"]),
        (("find", "red", "--since", "soon"), ["'soon'", "2024-05-31"]),
        (("find", "red", "--json", "--csv"), ["--json", "--csv"]),
        (("find", "red", "--paths", "-0"), ["--paths", "-0"]),
        (("find", "red", "--text", "--label"), ["--text", "--label"]),
        (("find", "red", "--sort", "size"), ["--sort size", "best", "date"]),
    ],
)
def test_find_rejects_wrong_words_and_options(cli_env: CliEnv, arguments: tuple[str, ...], named: list[str]) -> None:
    cli_env.index()
    error = fail(cli_env.run(*arguments))
    assert [word for word in named if word not in error] == []


def test_find_without_library_says_what_to_do(cli_env: CliEnv) -> None:
    error = fail(cli_env.run("find", "red"))
    assert error.startswith(f"{cli_env.library}: ")
    assert "photosearch index FOLDER" in error


@pytest.mark.option("labels --json", "labels --all")
def test_labels_lists_those_of_the_photos_first(cli_env: CliEnv) -> None:
    cli_env.index()
    (cli_env.photos / "2019" / "white.png").unlink()
    cli_env.index()
    assert cli_env.run("labels").stdout == "blue\t1\ttoy\t0.500\t\nred\t1\ttoy\t0.500\t\n"
    assert notes(cli_env.run("labels")) == ["And 1 label that no photo here shows: photosearch labels --all"]
    rows = json.loads(cli_env.run("labels", "--all", "--json").stdout)
    assert [(row["label"], row["photos"]) for row in rows] == [("blue", 1), ("red", 1), ("green", 0)]
    assert rows[0] == {
        "label": "blue", "model": "toy", "threshold": 0.5, "saved": False, "photos": 1, "everyday": True,
    }  # fmt: skip


def test_first_index_says_what_to_try(cli_env: CliEnv) -> None:
    """With labels that photos here show."""
    *_, hint = notes(cli_env.index())
    assert hint.startswith("Try: photosearch find blue, photosearch find red")
    assert hint.endswith("photosearch browse")
    assert "Try" not in cli_env.index().stderr, "only once"


def test_first_index_without_labels_names_the_page(cli_env: CliEnv) -> None:
    write_toy(cli_env.model, toy_card(labels=("x1", "x2", "x3"), pooling={}))
    assert notes(cli_env.index())[-1] == "To see your photos: photosearch browse"
    assert notes(cli_env.index("--json"))[-1:] != ["To see your photos: photosearch browse"]


def test_find_stops_quietly_when_reader_closes_pipe(cli_env: CliEnv) -> None:
    cli_env.index()
    find = photosearch("find", "red")
    find.stdout.close()
    assert "Traceback" not in find.stderr.read()
    find.stderr.close()
    find.wait(timeout=60)
