"""`albums`, `album`, `find --album`, `find --save`, `undo album`: what they print, change and refuse."""

import csv
import io
import json
import os

import pytest
from cli_env import CliEnv, fail, names, notes

from photosearch import Library
from photosearch.cli import confirm
from photosearch.cli.root import load_commands


@pytest.fixture
def indexed(cli_env: CliEnv) -> CliEnv:
    cli_env.index()  # red: red.jpg, 2019/white.png; blue: blue.webp, 2019/white.png
    return cli_env


def held(env: CliEnv, album: str) -> list[str]:
    return sorted(os.path.basename(path) for path in env.run("album", "show", album, "--paths").stdout.splitlines())


@pytest.mark.option("album add --find", "album add --limit", "album add --under")
def test_add_names_photos_or_finds_them(indexed: CliEnv) -> None:
    photos = indexed.photos
    assert notes(indexed.run("album", "add", "Rome 2019", photos / "red.jpg")) == [
        "Created the album Rome 2019: 1 photo."
    ]
    assert notes(indexed.run("album", "add", "rome 2019", "--find", "red")) == ["Rome 2019: 1 photo added"]
    assert held(indexed, "Rome 2019") == ["red.jpg", "white.png"]
    assert notes(indexed.run("album", "add", "One", "--find", "red", "-n", 1))[-1] == "Created the album One: 1 photo."
    assert notes(indexed.run("album", "add", "2019", "--under", photos / "2019")) == [
        "Created the album 2019: 2 photos."
    ]


@pytest.mark.option("album add --since", "album add --until", "album add --like", "album add --sure")
def test_add_takes_the_options_of_find(indexed: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    find = Library.find
    monkeypatch.setattr(Library, "find", lambda self, words, **options: asked.append(options) or find(self))
    indexed.run("album", "add", "a", "--since", "2019", "--until", "2020", "--like", "red.jpg", "--sure")
    wanted = {"since": "2019", "until": "2020", "like": ["red.jpg"], "sure_only": True, "album": None}
    assert {key: asked[0].get(key) for key in wanted} == wanted


@pytest.mark.option(
    "album remove --find", "album remove --limit", "album remove --under", "album remove --since",
    "album remove --until", "album remove --like", "album remove --sure",
)  # fmt: skip
def test_remove_takes_photos_out_and_leaves_the_files(indexed: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = indexed.photos
    indexed.run("album", "add", "All", "--under", photos)
    assert notes(indexed.run("album", "remove", "all", photos / "red.jpg")) == ["All: 1 photo removed"]
    assert notes(indexed.run("album", "remove", "All", "--find", "blue", "-n", 1)) == ["All: 1 photo removed"]
    assert "no photo is found; nothing was changed" in fail(
        indexed.run("album", "remove", "All", "--find", "red", "--since", "2001", "--until", "2002")
    )
    assert len(held(indexed, "All")) == 1
    assert notes(indexed.run("album", "remove", "All", "--under", photos / "2019")) == ["All: 1 photo removed"]
    assert sorted(path.name for path in photos.rglob("*.*")) == ["blue.webp", "red.jpg", "white.png"]
    asked = []
    find = Library.find
    monkeypatch.setattr(Library, "find", lambda self, words, **options: asked.append(options) or find(self))
    indexed.run("album", "remove", "All", "--like", "red.jpg", "--sure")
    assert (asked[0]["like"], asked[0]["sure_only"], asked[0]["album"]) == (["red.jpg"], True, "All")


@pytest.mark.parametrize(("words", "reason"), [
    (("add", "x"), "name photos, or find them with --find, --like, --under, --since, --until"),
    (("add", "x", "red.jpg", "--find", "red"), "not both"),
    (("add", "x", "red.jpg", "-n", "1"), "--sure and --limit are for photos that are found"),
    (("add", "x", "nowhere.jpg"), "nowhere.jpg: not in the library"),
    (("add", "a\tb\x1b", "--find", "red"), "can't be an album's name"),
    (("show", "x"), "no album 'x'; there are: Rome"),
    (("remove", "x", "--find", "red"), "no album 'x'"),
    (("rename", "Rome", "Saved"), "there is an album 'Saved' already"),
    (("rename", "Rome", "a" * 201), "can't be an album's name"),
    (("add", "Saved", "--find", "red"), "'Saved' is a saved search, which fills itself"),
    (("export", "Rome"), "say where to: --to DIR, --keywords, --paths or -0"),
    (("export", "Rome", "--links", "--paths"), "--links: name the folder with --to DIR"),
    (("export", "Rome", "--paths", "--dry-run"), "--short and --dry-run are for --keywords"),
    (("export", "Rome", "--paths", "-0"), "can't be combined"),
    (("delete", "Rome"), "add --yes to confirm"),
    (("show", "Saved", "--today", "x"), "'x' is not a day; write it as 2024-05-31"),
])  # fmt: skip
def test_bad_input_is_one_line_and_changes_nothing(
    indexed: CliEnv, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], reason: str
) -> None:
    monkeypatch.chdir(indexed.photos)
    indexed.run("album", "add", "Rome", "red.jpg")
    indexed.run("find", "red", "--save", "Saved")
    before = indexed.run("albums", "--json").stdout
    assert reason in fail(indexed.run("album", *words))
    assert indexed.run("albums", "--json").stdout == before


@pytest.mark.option("albums --json", "albums --csv")
def test_albums_are_listed_with_counts_and_searches(indexed: CliEnv) -> None:
    assert "photosearch album add NAME PHOTO" in notes(indexed.run("albums"))[0]
    indexed.run("album", "add", "Rome", indexed.photos / "red.jpg")
    indexed.run("find", "red", "--save", "Reds", "--label")
    indexed.run("find", "album:Rome", "--save", "Broken")
    indexed.run("album", "rename", "Rome", "Nîmes, 2019")
    rows = json.loads(indexed.run("albums", "--json").stdout)
    assert [(row["name"], row["photos"], row["search"], row["more"]) for row in rows] == [
        ("Broken", None, "album:Rome", False), ("Nîmes, 2019", 1, None, False), ("Reds", 2, "red --label", False),
    ]  # fmt: skip
    assert rows[0]["error"].startswith("album Broken: its search finds nothing any more: no album 'Rome'")
    table = list(csv.DictReader(io.StringIO(indexed.run("albums", "--csv").stdout)))
    assert [(row["name"], row["photos"]) for row in table] == [("Broken", ""), ("Nîmes, 2019", "1"), ("Reds", "2")]
    lines = [line.split("\t")[:3] for line in indexed.run("albums").stdout.splitlines()]
    assert lines[1:] == [["Nîmes, 2019", "1", ""], ["Reds", "2", "red --label"]]
    assert "can't be combined" in fail(indexed.run("albums", "--json", "--csv"))


@pytest.mark.option("find --album", "find --save")
def test_find_in_an_album_and_save(indexed: CliEnv) -> None:
    indexed.run("album", "add", "Rome", indexed.photos / "red.jpg", indexed.photos / "2019" / "blue.webp")
    assert names(indexed.run("find", "red", "--album", "rome", "--json")) == ["red.jpg"]
    assert names(indexed.run("find", "red album:Rome", "--json")) == ["red.jpg"]
    saved = indexed.run("find", "red", "--album", "Rome", "--save", "Red in Rome", "--json")
    assert names(saved) == ["red.jpg"], "it is found as well"
    assert notes(saved) == ["Saved as the album Red in Rome: photosearch album show 'Red in Rome'"]
    assert held(indexed, "red in rome") == ["red.jpg"]
    assert "there is an album 'Rome' already" in fail(indexed.run("find", "red", "--save", "rome"))
    assert "leave out --today" in fail(indexed.run("find", "red", "--save", "x", "--today", "2020-01-01"))
    nothing = indexed.run("find", "green", "--album", "Rome")
    assert notes(nothing)[-1] == "Nothing found; leave out --album."


@pytest.mark.option(
    "album show --limit", "album show --paths", "album show --null", "album show --json", "album show --csv"
)
def test_show_prints_photos_newest_first(indexed: CliEnv) -> None:
    for i, name in enumerate(("red.jpg", "2019/white.png", "2019/blue.webp")):
        os.utime(indexed.photos / name, ns=(10**18 + i * 10**17,) * 2)
    indexed.run("index")
    indexed.run("album", "add", "All", "--under", indexed.photos)
    expected = [str(indexed.photos / name) for name in ("2019/blue.webp", "2019/white.png", "red.jpg")]
    assert indexed.run("album", "show", "All", "--paths").stdout.splitlines() == expected
    for option in ("-0", "--null"):
        assert indexed.run("album", "show", "All", option).stdout.split("\0")[:-1] == expected
    assert names(indexed.run("album", "show", "All", "--json", "-n", 2)) == ["blue.webp", "white.png"]
    rows = list(csv.DictReader(io.StringIO(indexed.run("album", "show", "All", "--csv").stdout)))
    assert [row["path"] for row in rows] == expected
    table = indexed.run("album", "show", "All", "-n", 1)
    assert (len(table.stdout.splitlines()), notes(table)) == (1, ["1 photo; there are more: --limit 0 shows all"])


@pytest.mark.option("album show --today")
def test_show_counts_relative_dates_from_a_day(indexed: CliEnv) -> None:
    (indexed.photos / "red.jpg").rename(indexed.photos / "IMG_20190715_120000.jpg")
    indexed.run("index")
    indexed.run("find", "last summer", "--save", "Summer")
    assert indexed.run("album", "show", "Summer", "--today", "2020-01-31", "--paths").stdout.endswith("120000.jpg\n")
    assert indexed.run("album", "show", "Summer", "--today", "2021-01-31", "--paths").stdout == ""


@pytest.mark.option("album delete --yes")
def test_delete_names_the_album_asks_and_can_be_undone(indexed: CliEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    indexed.run("album", "add", "Rome", "--find", "red")
    monkeypatch.setattr(confirm, "is_interactive", lambda: True)
    asked = indexed.run("album", "delete", "rome", input="n\n")
    assert "This will delete the album Rome of 2 photos; no photo is deleted." in asked.stderr
    assert "cancelled, nothing was changed" in asked.stderr
    assert notes(indexed.run("album", "delete", "rome", "--yes")) == [
        "Deleted the album Rome of 2 photos; to get it back: photosearch undo album"
    ]
    assert notes(indexed.run("undo", "album")) == ["Restored the album Rome: 2 photos."]
    assert notes(indexed.run("album", "rename", "Rome", "Paris")) == ["Renamed to Paris."]
    assert notes(indexed.run("undo", "album")) == ["The album is called Rome again."]
    indexed.run("album", "remove", "Rome", "--find", "red", "-n", 1)
    assert notes(indexed.run("undo", "album")) == ["Rome: undone for 1 photo."]
    assert notes(indexed.run("undo", "album")) == [
        "Removed the album Rome of 2 photos, which was new; no photo is deleted."
    ]
    assert fail(indexed.run("undo", "album")) == "there is no change of an album to undo"


@pytest.mark.option("album export --to", "album export --links", "album export --paths", "album export --null")
def test_export_to_a_folder_or_a_list(indexed: CliEnv) -> None:
    indexed.run("album", "add", "Rome", "--find", "red")
    folder, links = indexed.folder / "out", indexed.folder / "links"
    assert notes(indexed.run("album", "export", "Rome", "--to", folder)) == [f"{folder}: 2 copied"]
    assert notes(indexed.run("album", "export", "Rome", "--to", folder)) == [f"{folder}: 0 copied, 2 already there"]
    assert (folder / "red.jpg").read_bytes() == (indexed.photos / "red.jpg").read_bytes()
    assert notes(indexed.run("album", "export", "Rome", "--to", links, "--links")) == [f"{links}: 2 linked"]
    assert (links / "red.jpg").readlink() == indexed.photos / "red.jpg"
    paths = indexed.run("album", "export", "Rome", "--paths").stdout.splitlines()
    assert sorted(map(os.path.basename, paths)) == ["red.jpg", "white.png"]
    assert indexed.run("album", "export", "Rome", "-0").stdout.split("\0")[:-1] == paths
    assert indexed.run("album", "export", "Rome", "--null").stdout.split("\0")[:-1] == paths
    (indexed.photos / "red.jpg").unlink()
    result = indexed.run("album", "export", "Rome", "--to", indexed.folder / "more")
    assert (result.exit_code, "red.jpg: not copied: no such file or directory" in result.stderr) == (1, True)


@pytest.mark.option("album export --keywords", "album export --short", "album export --dry-run")
def test_export_keywords(indexed: CliEnv) -> None:
    indexed.run("album", "add", "Rome", "--find", "red")
    dry = indexed.run("album", "export", "Rome", "--keywords", "--dry-run")
    assert (len(dry.stdout.splitlines()), notes(dry)) == (2, ["2 side-cars to write, 0 unchanged"])
    assert not list(indexed.photos.rglob("*.xmp"))
    assert notes(indexed.run("album", "export", "Rome", "--keywords", "--short")) == [
        "2 side-cars written, 0 unchanged"
    ]
    assert b"<rdf:li>Rome</rdf:li>" in (indexed.photos / "red.xmp").read_bytes()
    indexed.run("album", "remove", "Rome", indexed.photos / "red.jpg")
    assert notes(indexed.run("album", "export", "Rome", "--keywords")) == ["1 side-car written, 1 unchanged"]
    assert b"<rdf:li>Rome</rdf:li>" not in (indexed.photos / "red.xmp").read_bytes()


def test_names_of_albums_are_completed_by_the_shell(indexed: CliEnv) -> None:
    indexed.run("album", "add", "Rome 2019", indexed.photos / "red.jpg")
    indexed.run("album", "add", "Paris", indexed.photos / "red.jpg")
    command = load_commands()
    for words, parameter in ((("album", "show"), "name"), (("find",), "album")):
        found, parent = command, None
        for word in words:
            parent = found.make_context(word, [], resilient_parsing=True, parent=parent)
            found = found.commands[word]
        context = found.make_context("x", [], resilient_parsing=True, parent=parent)
        (given,) = [p for p in found.params if p.name == parameter]
        assert [item.value for item in given.shell_complete(context, "Ro")] == ["Rome 2019"]
