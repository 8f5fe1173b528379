"""`find` by description and example, labels from descriptions, `duplicates`, `report --retrieval`."""

import csv
import io
import json
import os
import re

import pytest
from cli_env import fail, notes
from embedding_library import BLACK, BLUE, GREEN, RED, WINE, fill, forget_names, open_filled, open_seen
from library import Counting
from PIL import Image
from toy import toy_card, write_toy
from typer.testing import CliRunner, Result

from photosearch import Label
from photosearch.api.labels import Labels
from photosearch.cli.app import app

COLOURS = {"red": RED, "wine": WINE, "green": GREEN, "blue": BLUE, "20200101_black": BLACK}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def names(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [os.path.basename(row["path"]).removesuffix(".png") for row in json.loads(result.stdout)["photos"]]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A library that no test changes."""
    with open_filled(tmp_path_factory.mktemp("kept"), COLOURS) as seen:
        yield forget_names(seen)


@pytest.fixture
def seen(kept, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(kept.folder.parent))
    monkeypatch.setenv("PHOTOSEARCH_DB", str(kept.under.db.path))
    return kept


@pytest.fixture
def own(tmp_path, monkeypatch):
    """One's own library, to change."""
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "library.db"))
    with open_seen(tmp_path) as seen:
        yield fill(seen, COLOURS)


# ---- find


def test_find_description_lists_most_similar(seen):
    result = run("find", "black", "--min-similarity", "0.5")
    assert notes(result) == ["2 photos"]
    rows = [line.split("\t")[:2] for line in result.stdout.splitlines()]
    assert [(score, os.path.basename(path)) for score, path in rows] == [
        ("1.000", "20200101_black.png"), ("0.704", "wine.png"),
    ]  # fmt: skip
    assert notes(run("find", "black", "-n", "1")) == ["1 photo"]


def test_find_description_json_and_csv(seen):
    answer = json.loads(run("find", "black", "-n", "1", "--json").stdout)
    (row,) = answer["photos"]
    assert (answer["question"], answer["ranked_by"], answer["models"], answer["more"]) == (
        "black", "similarity", ["toy"], True,
    )  # fmt: skip
    assert row == {
        "path": str(seen.folder / "20200101_black.png"), "by": "similarity", "similarity": 1.0, "sure": True,
        "copies": 0, "taken": row["taken"], "taken_from": row["taken_from"], "exists": True,
        "why": ["similarity 1.00"],
    }  # fmt: skip
    head, first, *_ = csv.reader(io.StringIO(run("find", "black", "--csv").stdout))
    assert head[:8] == ["path", "question", "by", "score", "sure", "taken", "taken_from", "model"]
    assert first[:5] == [row["path"], "black", "similarity", "1.0", "True"]
    everything = run("find", "black", "--paths", "--min-similarity", "-1")
    assert everything.stdout.splitlines()[0] == row["path"]
    assert (everything.stderr, len(everything.stdout.splitlines())) == ("", 5)


@pytest.mark.option("find --limit", "find --paths", "find --copy-to")
def test_paths_and_albums_take_the_sure_ones_unless_a_number_is_given(seen, tmp_path):
    rows = json.loads(run("find", "red", "--json").stdout)["photos"]
    sure = [row["path"] for row in rows if row["sure"]]
    assert 0 < len(sure) < len(rows)
    result = run("find", "red", "--paths")
    assert result.stdout.splitlines() == sure
    assert notes(result) == [f"{len(rows) - len(sure)} photos left out, not sure; -n N takes them too"]
    assert len(run("find", "red", "--paths", "-n", "0").stdout.splitlines()) >= len(rows)
    assert run("find", "red", "--copy-to", tmp_path / "album").exit_code == 0
    assert {path.name for path in (tmp_path / "album").iterdir()} == {os.path.basename(path) for path in sure}


def test_find_description_with_and_without_quotes(seen):
    assert names(run("find", "black", "and", "not", "red", "--json"))[:1] == ["20200101_black"]
    assert names(run("find", '"black" and red', "--json", "-n", "2"))[0] == "wine"


@pytest.mark.option("find --text", "find --label")
def test_find_text_and_label_options(seen):
    assert names(run("find", "--text", "red", "--json", "-n", "1", "--min-similarity", "-1")) == ["red"]
    assert "similarity" in run("find", "--text", "red", "--json", "-n", "1", "--min-similarity", "-1").stdout
    assert "'black'" in fail(run("find", "--label", "black"))
    error = fail(run("find", "--label", "--text", "black"))
    assert [part for part in ("--text", "--label") if part not in error] == []


@pytest.mark.option("find --min-similarity", "find --sort")
def test_find_min_similarity_and_sort(seen):
    assert names(run("find", "black", "--json", "-n", "2")) == ["20200101_black", "wine"]
    assert len(names(run("find", "black", "--json", "--min-similarity", "-1", "-n", "0"))) == 5
    assert names(run("find", "black", "--json", "--min-similarity", "0.5")) == ["20200101_black", "wine"]
    assert names(run("find", '"black" and red', "--min-score", "0.9", "--min-similarity", "-1", "--json")) == ["red"]
    assert names(run("find", "black", "--json", "--since", "2019", "--until", "2021")) == ["20200101_black"]
    assert names(run("find", "not red", "--sort", "date", "--json"))[-1] == "20200101_black"
    assert names(run("find", "black", "-n", "2", "--sort", "date", "--json")) == ["wine", "20200101_black"]
    assert "size" in fail(run("find", "black", "--sort", "size"))
    assert "score" in fail(run("find", "black", "--min-score", "0.5"))
    assert "similarity" in fail(run("find", "--label", "red", "--min-similarity", "0.5"))
    assert run("find", "black", "--min-similarity", "2").exit_code == 2
    assert run("find", "black", "--min-score", "-1").exit_code == 2


@pytest.mark.option("find --like", "find --unlike")
def test_find_like_and_unlike_photos(seen, tmp_path):
    red, green = seen.folder / "red.png", seen.folder / "green.png"
    assert names(run("find", "--like", red, "--json", "-n", "2")) == ["red", "wine"]
    assert names(run("find", "--like", f"3:{green}", "--like", red, "--json", "-n", "1")) == ["green"]
    assert names(run("find", "black", "--unlike", seen.folder / "wine.png", "--json", "-n", "1")) == ["20200101_black"]
    Image.new("RGB", (9, 9), (0, 0, 250)).save(tmp_path / "elsewhere.png")
    assert names(run("find", "--like", tmp_path / "elsewhere.png", "--json", "-n", "1")) == ["blue"]
    assert fail(run("find", "--like", "nowhere.png")).startswith("nowhere.png: ")
    fail(run("find", "--unlike", red))


def test_find_without_words_lists_all_photos(seen):
    answer = json.loads(run("find", "--json", "--file-dates", "--since", "1990").stdout)
    assert (answer["ranked_by"], len(answer["photos"]), answer["models"]) == ("date", 5, [])
    assert all("score" not in photo and "similarity" not in photo for photo in answer["photos"])
    assert notes(run("find")) == notes(run("find", "")) == notes(run("find", " ")) == ["5 photos"]
    assert notes(run("find", "-n", "2")) == ["2 photos"]
    assert [os.path.basename(p) for p in run("find", "--until", "2020", "--paths").stdout.splitlines()] == [
        "20200101_black.png"
    ]  # fmt: skip


@pytest.mark.option("find --sure")
def test_find_shows_the_nearest_where_none_is_sure(seen):
    result = run("find", "zebra")
    assert notes(result) == ["Not sure about these:"]
    assert len(result.stdout.splitlines()) == 5
    assert len(run("find", "zebra", "-n", "2").stdout.splitlines()) == 2
    answer = json.loads(run("find", "zebra", "--json").stdout)
    assert (answer["sure"], len(answer["photos"])) == (False, 5)
    assert len(run("find", "zebra", "--paths").stdout.splitlines()) == 5
    result = run("find", "zebra", "--paths", "--sure")
    assert (result.stdout, "leave out --sure" in notes(result)[0]) == ("", True)


@pytest.mark.option("find --explain")
def test_find_explain_prints_reading_on_stderr(seen):
    result = run("find", '"black" and not red', "--explain")
    assert result.stdout
    lines = result.stderr.splitlines()
    assert lines[0].startswith("red: ")
    assert lines[1].startswith("'black': ")
    assert re.search(r"\d\.\d{3}", lines[3]), "the cut-off"
    assert run("find", "zebra", "--explain").stderr.startswith("'zebra': ")
    within = run("find", '"black" and red', "--explain")
    assert "standard deviations" in within.stderr


@pytest.mark.option("find --today", "find --explain")
def test_find_explain_as_json_prints_the_reading_alone(seen):
    result = run("find", "black", "thing yesterday -in:Portugal", "--explain", "--json", "--today", "2020-03-01")
    read = json.loads(result.stdout)
    assert (read["description"], read["since"], read["until"]) == ("black thing", "2020-02-29", "2020-03-01")
    assert {key: value for key, value in read.items() if value is not None}.keys() == {
        "description", "since", "until", "unwanted",
    }  # fmt: skip
    assert result.stderr == ""
    assert "is not a day" in run("find", "black", "--today", "soon").stderr
    assert "No photo here is in:Atlantis." in run("find", "in:Atlantis").stderr


@pytest.mark.parametrize("words", ["x" * 2001, "🐕", "собака", "a\x1b[31mb", "犬" * 1000, "'", '"', "((((", "and", "-"])
def test_find_survives_odd_words(seen, words):
    result = run("find", "--", words)
    assert result.exit_code in (0, 1)
    assert "\x1b" not in result.output
    assert len(result.stderr.splitlines()) <= 1


def test_find_description_copies_album(seen, tmp_path):
    result = run("find", "black", "--min-similarity", "0.5", "--copy-to", tmp_path / "album")
    assert (result.exit_code, result.stdout) == (0, "")
    assert sorted(p.name for p in (tmp_path / "album").iterdir()) == ["20200101_black.png", "wine.png"]


# ---- labels


def test_labels_tree_shows_label_under_each_parent(seen, monkeypatch):
    for labels, tree in (
        (["fish", "pet", "goldfish", "my own"], ["fish", "  goldfish", "pet", "  goldfish", "my own"]),
        (["goldfish"], ["goldfish"]),
    ):
        monkeypatch.setattr(Labels, "list", lambda *_, labels=labels: [Label(1, "toy", x, 0.5, False) for x in labels])
        assert run("labels", "tree").stdout.splitlines() == tree


def test_labels_tree_lists_label_of_two_models_once(own, tmp_path):
    other = Counting(write_toy(tmp_path / "other.onnx", toy_card(name="other")), provider="cpu", threads=1)
    own.index(model=other)
    assert len(json.loads(run("labels", "--all", "--json").stdout)) == 6
    assert run("labels", "tree").stdout.splitlines() == ["red", "green", "blue"]


@pytest.mark.option("labels show --json")
def test_labels_list_show_and_tree(seen):
    rows = json.loads(run("labels", "--json").stdout)
    assert sorted(row["label"] for row in rows) == ["blue", "green", "red"]
    assert list(rows[0]) == ["label", "model", "threshold", "saved", "photos", "everyday"]
    assert run("labels", "tree").stdout.splitlines() == ["red", "green", "blue"]
    shown = dict(line.split(maxsplit=1) for line in run("labels", "show", "RED").stdout.splitlines())
    assert (shown["label"], shown["model"], shown["threshold"]) == ("red", "toy", "0.500")
    told = json.loads(run("labels", "show", "red", "--json").stdout)
    assert told.keys() >= {"label", "model", "threshold", "saved", "rests_on", "above", "below", "synonyms"}
    error = fail(run("labels", "show", "rod"))
    assert [part for part in ("'rod'", "red") if part not in error] == []


def test_labels_add_then_sample_report_and_remove(own, monkeypatch):
    monkeypatch.chdir(own.folder.parent)
    added = run("labels", "add", "my night", "black")
    assert (added.exit_code, added.stdout) == (0, "")
    assert "photosearch sample 'my night' -n 60" in added.stderr
    assert names(run("find", "my night", "--label", "--json")) == ["20200101_black", "wine"]
    assert re.search("description +black", run("labels", "show", "my night").stdout)
    assert notes(run("find", "my night", "--label")) == ["2 photos (your label)"]
    assert run("sample", "my night", "-n", "5", "--to", "sheet").exit_code == 0
    rows = csv.DictReader((own.folder.parent / "sheet" / "sample.csv").read_text().splitlines())
    (number,) = [row["number"] for row in rows if "black" in row["path"]]
    assert run("judge", "my night", number).exit_code == 0
    assert run("threshold", "set", "my night", "--at-precision", "1").exit_code == 0
    told = json.loads(run("report", "--label", "my night", "--json").stdout)
    assert (told["model"], told["tp"], told["fp"]) == ("yours", 1, 0)
    assert names(run("find", "my night", "--label", "--json")) == ["20200101_black"]
    assert "my night" in fail(run("labels", "add", "My Night", "red"))
    assert re.search("your labels\t.*5 images", run("status").stdout)
    assert run("labels", "add", "black").exit_code == 0, "its name is its description"
    assert re.search("description +black", run("labels", "show", "black").stdout)
    assert run("labels", "remove", "black").exit_code == 0
    assert "my night" in notes(run("labels", "remove", "my night"))[0]
    assert "'my night'" in fail(run("labels", "remove", "my night"))


# ---- duplicates and retrieval


@pytest.mark.slow
@pytest.mark.option("duplicates --json")
def test_duplicates_lists_groups_and_deletes_nothing(own):
    assert (run("duplicates").stdout, len(notes(run("duplicates")))) == ("", 1)
    (own.folder / "copy.png").write_bytes((own.folder / "red.png").read_bytes())
    own.index()
    ((first, second),) = json.loads(run("duplicates", "--json").stdout)
    assert first.keys() == {"path", "how", "reason", "size_bytes", "width", "height"}
    assert (first["how"], second["how"]) == ("kept", "same content")
    assert (own.folder / "copy.png").exists()
    told = run("duplicates", "--exact")
    assert re.fullmatch("1 group, 2 photos; .* 1 KB", notes(told)[0])
    assert [line.split("\t")[1] for line in told.stdout.splitlines()] == ["kept", "same content"]
    assert json.loads(run("duplicates", "--json", "--under", own.folder).stdout)
    assert fail(run("duplicates", "--under", "/elsewhere")).startswith("/elsewhere: ")


@pytest.mark.option("report --retrieval")
def test_report_retrieval(seen, tmp_path):
    file = tmp_path / "queries.csv"
    file.write_text(f"query,path\nblack,{seen.folder / '20200101_black.png'}\nblue,{seen.folder / 'blue.png'}\n")
    told = json.loads(run("report", "--retrieval", file, "--json").stdout)
    assert (told["queries"], told["photos"], told["recall_at_1"], told["mrr"], told["map"]) == (2, 5, 1, 1, 1)
    assert told["intervals"]["recall_at_1"] == [1, 1]
    text = run("report", "--retrieval", file)
    assert text.stdout.splitlines()[0] == "2 descriptions, 5 photos"
    assert text.stderr == ""
    error = fail(run("report", "--retrieval", file, "--label", "red", "--labels"))
    assert error.endswith("leave out --labels, --label")
    file.write_text("query,path\nblack,nowhere.png\n")
    assert "nowhere.png: " in fail(run("report", "--retrieval", file))
