"""Likeness as a user types it: descriptions, pictures, labels of one's own, duplicates, and models of others."""

import csv
import io
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, WINE, fill, open_filled, open_seen
from library import Counting
from PIL import Image
from toy import toy_card, write_toy
from two_towers import immich, put, rclip, sees, transformers_js
from typer.testing import CliRunner, Result

from photosearch.cli.app import app
from photosearch.cli.find import _draw_tree
from photosearch.models import catalog

ROOT = Path(__file__).parents[2]
COLOURS = {"red": RED, "wine": WINE, "green": GREEN, "blue": BLUE, "20200101_black": BLACK}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def names(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return [os.path.basename(row["path"]).removesuffix(".png") for row in json.loads(result.stdout)]


def refused(result: Result) -> str:
    """The one line that says why."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    return line.removeprefix("photosearch: ")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A library that no test changes."""
    with open_filled(tmp_path_factory.mktemp("kept"), COLOURS) as seen:
        yield seen


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


def test_a_description_lists_the_most_similar(seen):
    result = run("find", "black", "--min-similarity", "0.5")
    assert (result.exit_code, result.stderr) == (0, "the most similar 2 photos, by toy\n")
    rows = [line.split("\t")[:2] for line in result.stdout.splitlines()]
    assert [(score, os.path.basename(path)) for score, path in rows] == [
        ("1.000", "20200101_black.png"), ("0.704", "wine.png"),
    ]  # fmt: skip
    assert run("find", "black", "-n", "1").stderr == "the most similar 1 photo, by toy\n"


def test_finds_json_and_csv_name_a_similarity(seen):
    (row,) = json.loads(run("find", "black", "-n", "1", "--json").stdout)
    assert row == {
        "path": str(seen.folder / "20200101_black.png"), "description": "black", "similarity": 1.0,
        "taken": row["taken"], "taken_from": row["taken_from"], "model": "toy", "there": True,
    }  # fmt: skip
    head, first, *_ = csv.reader(io.StringIO(run("find", "black", "--csv").stdout))
    assert head == ["path", "description", "similarity", "taken", "taken_from", "model"]
    assert first[:3] == [row["path"], "black", "1.0"]
    (label,) = json.loads(run("find", "red", "-n", "1", "--json").stdout)
    assert list(label) == ["path", "label", "score", "taken", "taken_from", "model", "there"]
    everything = run("find", "black", "--paths", "--min-similarity", "-1")
    assert everything.stdout.splitlines()[0] == row["path"]
    assert (everything.stderr, len(everything.stdout.splitlines())) == ("", 5)


def test_words_come_with_and_without_the_shells_quotes(seen):
    assert names(run("find", "black", "and", "not", "red", "--json"))[:1] == ["20200101_black"]
    assert names(run("find", '"black" and red', "--json", "--min-similarity", "-1")) == ["wine", "red"]


@pytest.mark.option("find --text", "find --label")
def test_text_and_label_insist(seen):
    assert names(run("find", "--text", "red", "--json", "-n", "1", "--min-similarity", "-1")) == ["red"]
    assert "similarity" in run("find", "--text", "red", "--json", "-n", "1", "--min-similarity", "-1").stdout
    assert refused(run("find", "--label", "black")).startswith("no label 'black'; the nearest are: ")
    assert refused(run("find", "--label", "--text", "black")) == "--text and --label exclude one another; choose one"


@pytest.mark.option("find --min-similarity", "find --sort")
def test_bounds_and_order(seen):
    assert names(run("find", "black", "--json", "-n", "2")) == ["20200101_black", "wine"]
    assert len(names(run("find", "black", "--json", "--min-similarity", "-1", "-n", "0"))) == 5
    assert names(run("find", "black", "--json", "--min-similarity", "0.5")) == ["20200101_black", "wine"]
    assert names(run("find", '"black" and red', "--min-score", "0.9", "--min-similarity", "-1", "--json")) == ["red"]
    assert names(run("find", "black", "--json", "--since", "2019", "--until", "2021")) == ["20200101_black"]
    assert names(run("find", "not red", "--sort", "date", "--json"))[-1] == "20200101_black"
    assert names(run("find", "black", "-n", "2", "--sort", "date", "--json")) == ["wine", "20200101_black"]
    assert refused(run("find", "black", "--sort", "size")) == "--sort size: give best or date"
    assert refused(run("find", "black", "--min-score", "0.5")).startswith("a smallest score is for labels")
    assert refused(run("find", "red", "--min-similarity", "0.5")).startswith("a smallest similarity is for desc")
    assert run("find", "black", "--min-similarity", "2").exit_code == 2
    assert run("find", "black", "--min-score", "-1").exit_code == 2


@pytest.mark.option("find --like", "find --unlike")
def test_pictures_ask_with_weights_and_words(seen, tmp_path):
    red, green = seen.folder / "red.png", seen.folder / "green.png"
    assert names(run("find", "--like", red, "--json", "-n", "2")) == ["red", "wine"]
    assert names(run("find", "--like", f"3:{green}", "--like", red, "--json", "-n", "1")) == ["green"]
    assert names(run("find", "black", "--unlike", seen.folder / "wine.png", "--json", "-n", "1")) == ["20200101_black"]
    Image.new("RGB", (9, 9), (0, 0, 250)).save(tmp_path / "elsewhere.png")
    assert names(run("find", "--like", tmp_path / "elsewhere.png", "--json", "-n", "1")) == ["blue"]
    assert "nowhere.png: can't be read" in refused(run("find", "--like", "nowhere.png"))
    assert "not only what it should not" in refused(run("find", "--unlike", red))


def test_without_a_question_it_is_usage(seen):
    for arguments in ((), ("--json",), ("--text",)):
        result = run("find", *arguments)
        assert result.exit_code == 2
        assert "say what to find" in result.stderr
    assert "say what to find" in refused(run("find", ""))
    assert "say what to find" in refused(run("find", " "))


def test_nothing_similar_says_so_and_what_shows_it(seen):
    result = run("find", "zebra")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == (
        "nothing found is similar enough to 'zebra', by toy; --min-similarity -1 shows the nearest\n"
    )
    assert json.loads(run("find", "zebra", "--json").stdout) == []
    assert len(names(run("find", "zebra", "--json", "--min-similarity", "-1"))) == 5


@pytest.mark.option("find --explain")
def test_explain_says_how_it_was_read_beside_the_results(seen):
    result = run("find", '"black" and not red', "--explain", "--json")
    assert json.loads(result.stdout)
    lines = result.stderr.splitlines()
    assert lines[0].startswith("red: a label of toy")
    assert lines[1] == "'black': a description, which ranks"
    assert lines[3].startswith("similar enough: above ")
    assert run("find", "zebra", "--explain").stderr.startswith("'zebra': a description, which ranks\n")
    within = run("find", '"black" and red', "--explain", "--json")
    assert "of those that may be shown: the best 0.704\n" in within.stderr


@pytest.mark.parametrize("words", ["x" * 2001, "🐕", "собака", "a\x1b[31mb", "犬" * 1000, "'", '"', "((((", "and", "-"])
def test_no_words_end_in_a_traceback(seen, words):
    result = run("find", "--", words)
    assert result.exit_code in (0, 1)
    assert "\x1b" not in result.output
    assert len(result.stderr.splitlines()) <= 1


def test_the_similar_photos_are_copied_into_an_album(seen, tmp_path):
    result = run("find", "black", "--min-similarity", "0.5", "--copy-to", tmp_path / "album")
    assert (result.exit_code, result.stdout) == (0, "")
    assert sorted(p.name for p in (tmp_path / "album").iterdir()) == ["20200101_black.png", "wine.png"]


# ---- labels


def test_the_tree_shows_a_label_below_each_of_its_parents():
    assert _draw_tree(["fish", "pet", "goldfish", "my own"]) == ["fish", "  goldfish", "pet", "  goldfish", "my own"]
    assert _draw_tree(["goldfish"]) == ["goldfish"]


def test_a_label_of_two_models_stands_in_the_tree_once(own, tmp_path):
    other = Counting(write_toy(tmp_path / "other.onnx", toy_card(name="other")), provider="cpu", threads=1)
    own.index(model=other)
    assert len(json.loads(run("labels", "--json").stdout)) == 6
    assert run("labels", "--tree").stdout.splitlines() == ["red", "green", "blue"]


@pytest.mark.option("labels --tree")
def test_labels_lists_and_tells(seen):
    rows = json.loads(run("labels", "--json").stdout)
    assert [row["label"] for row in rows] == ["red", "green", "blue"]
    assert list(rows[0]) == ["label", "model", "threshold", "saved"]
    assert run("labels", "--tree").stdout.splitlines() == ["red", "green", "blue"]
    assert run("labels", "RED").stdout.startswith("red: a label of toy, found from a score of 0.500 on")
    told = json.loads(run("labels", "red", "--json").stdout)
    assert told.keys() >= {"label", "model", "threshold", "saved", "rests_on", "above", "below", "synonyms"}
    assert "no label 'rod'; the nearest are: red" in refused(run("labels", "rod"))


@pytest.mark.option("label add --from")
def test_a_label_of_ones_own_from_a_description_to_a_report(own, monkeypatch):
    monkeypatch.chdir(own.folder.parent)
    added = run("label", "add", "my night", "--from", "black")
    assert (added.exit_code, added.stdout) == (0, "")
    assert "photosearch sample 'my night' -n 60" in added.stderr
    assert names(run("find", "my night", "--json")) == ["20200101_black", "wine"]
    assert "it is the description: black" in run("labels", "my night").stdout
    assert run("sample", "my night", "-n", "5", "--to", "sheet").exit_code == 0
    rows = csv.DictReader((own.folder.parent / "sheet" / "sample.csv").read_text().splitlines())
    (number,) = [row["number"] for row in rows if "black" in row["path"]]
    assert run("judge", "my night", number).exit_code == 0
    told = json.loads(run("report", "--label", "my night", "--at-precision", "1", "--save", "--json").stdout)
    assert (told["model"], told["tp"], told["fp"]) == ("yours", 1, 0)
    assert names(run("find", "my night", "--json")) == ["20200101_black"]
    assert "my night is a label of yours already" in refused(run("label", "add", "My Night", "--from", "red"))
    assert run("label", "add", "x").exit_code == 2
    assert "labels\tyours, from descriptions, over 5 pictures\n" in run("status").stdout
    removed = run("label", "remove", "my night")
    assert (removed.exit_code, removed.stderr) == (0, "my night is no label any more\n")
    assert refused(run("label", "remove", "my night")) == "no label of your own is called 'my night'; known are none"


# ---- duplicates and retrieval


@pytest.mark.option("duplicates --json")
def test_duplicates_come_in_groups_and_stay(own):
    assert run("duplicates").stderr == "no photo is there twice\n"
    (own.folder / "copy.png").write_bytes((own.folder / "red.png").read_bytes())
    own.index()
    ((first, second),) = json.loads(run("duplicates", "--json").stdout)
    assert first.keys() == {"path", "how", "size_bytes", "width", "height"}
    assert (first["how"], second["how"]) == ("kept", "same content")
    assert (own.folder / "copy.png").exists()
    told = run("duplicates", "--exact")
    assert told.stderr == "1 group, 2 photos, 0.0 MB besides the ones to keep\n"
    assert [line.split("\t")[1] for line in told.stdout.splitlines()] == ["kept", "same content"]
    assert json.loads(run("duplicates", "--json", "--under", own.folder).stdout)
    assert "in no folder that is known" in refused(run("duplicates", "--under", "/elsewhere"))


@pytest.mark.option("report --retrieval")
def test_a_retrieval_is_reported(seen, tmp_path):
    file = tmp_path / "queries.csv"
    file.write_text(f"query,path\nblack,{seen.folder / '20200101_black.png'}\nblue,{seen.folder / 'blue.png'}\n")
    told = json.loads(run("report", "--retrieval", file, "--json").stdout)
    assert (told["queries"], told["photos"], told["recall_at_1"], told["mrr"], told["map"]) == (2, 5, 1, 1, 1)
    assert told["intervals"]["recall_at_1"] == [1, 1]
    text = run("report", "--retrieval", file)
    assert text.stdout.splitlines()[0] == "2 descriptions, 5 pictures"
    assert text.stderr == ""
    assert "leave out --label, --save" in refused(run("report", "--retrieval", file, "--label", "red", "--save"))
    file.write_text("query,path\nblack,nowhere.png\n")
    assert "nowhere.png: not in the library" in refused(run("report", "--retrieval", file))


# ---- models of others


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """No library, no model, three photos."""
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "library.db"))
    for name in ("red", "green", "blue"):
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), COLOURS[name]).save(tmp_path / "photos" / f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("layout", [transformers_js, immich, rclip])
@pytest.mark.option("models remove --yes")
def test_a_model_of_others_is_added_looks_and_finds(desk, layout: Callable[[Path], Path]):
    result = run("models", "add", layout(desk / "clip"))
    assert (result.exit_code, result.stdout) == (0, "")
    called = layout.__name__.replace("_", ".")
    assert f"clip is there, in the layout of {called}; now: photosearch index --model clip" in result.stderr
    assert "clip" in run("models").stdout
    looked = run("index", desk / "photos", "--model", "clip", "--workers", "1", "--provider", "cpu")
    assert looked.exit_code == 0, looked.output
    for word in ("green", "blue"):
        found = run("find", word, "--json", "--min-similarity", "-1")
        assert names(found)[0] == word
        assert json.loads(found.stdout)[0]["model"] == "clip"
    assert "clip knows no labels, only descriptions" in refused(run("find", "--label", "green"))
    assert "there is a model clip already" in refused(run("models", "add", desk / "clip"))
    assert "add --yes if that is meant" in refused(run("models", "remove", "clip"))
    removed = run("models", "remove", "clip", "--yes")
    assert (removed.exit_code, catalog.list_added()) == (0, {})
    assert "no text model for the space" in refused(run("find", "green"))


def broken_file(name: str, data: bytes | None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink() if data is None else (folder / name).write_bytes(data)

    return change


def other_width(folder: Path) -> None:
    sees(folder / "onnx/vision_model.onnx", width=5)


def other_size(folder: Path) -> None:
    put(folder / "preprocessor_config.json", {"size": "large"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (broken_file("onnx/vision_model.onnx", None), "lacks onnx/vision_model.onnx"),
        (broken_file("onnx/text_model.onnx", None), "lacks onnx/text_model.onnx"),
        (broken_file("tokenizer.json", None), "lacks tokenizer.json"),
        (broken_file("onnx/vision_model.onnx", b"no model"), "vision_model.onnx: it is not an .onnx file"),
        (broken_file("tokenizer.json", b"{"), "tokenizer.json: can't read the text model's tokenizer"),
        (other_width, "gave vectors of shape (1, 4), but its space has 5 dimensions"),
        (other_size, "size must be 1 to 4096: 'large'"),
    ],
)
def test_a_folder_that_is_no_such_model_is_refused_in_one_line_and_nothing_added(desk, change, said):
    folder = transformers_js(desk / "clip")
    change(folder)
    assert said in refused(run("models", "add", folder))
    assert catalog.list_added() == {}
    assert not (desk / "models").exists() or not list((desk / "models").iterdir())


def test_what_can_not_be_added_or_removed_is_told(desk):
    assert "nowhere" in refused(run("models", "add", "nowhere"))
    assert "can't be a model's name" in refused(run("models", "add", transformers_js(desk / "clip"), "--name", "a/b"))
    assert "no model of that name was added" in refused(run("models", "remove", "nothing", "--yes"))
    assert "it is part of photosearch" in refused(run("models", "remove", catalog.DEFAULT_MODEL, "--yes"))


# ---- pull


def test_what_is_offered_is_listed_and_nothing_is_fetched_unasked(desk):
    offered = run("models", "pull")
    assert [line.split("\t")[0] for line in offered.stdout.splitlines()] == [
        "siglip2-b32-256", "openclip-b32-256", "clip-b32",
    ]  # fmt: skip
    asked = run("models", "pull", "clip-b32")
    assert (asked.exit_code, asked.stdout) == (1, "")
    shown, refusal = asked.stderr.splitlines()
    assert "licence: MIT" in shown
    assert refusal == "photosearch: this would fetch clip-b32 over the network; add --yes if that is meant"
    assert not (desk / "models").exists()
    assert "no model 'clip' is offered: give one of " in refused(run("models", "pull", "clip", "--yes"))


def test_a_model_is_pulled_from_a_hub_on_loopback(desk):
    pytest.importorskip("huggingface_hub")
    from models.test_hub import Hub, files_of, handler

    hub = Hub(files_of(transformers_js(desk / "published")))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        command = [sys.executable, "-c", "from photosearch.cli.app import main; main()", "models", "pull", "clip-b32"]
        env = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(desk / "hf")}
        refusal = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, stdin=subprocess.DEVNULL)
        assert (refusal.returncode, hub.asked) == (1, [])
        pulled = subprocess.run([*command, "--yes"], capture_output=True, text=True, env=env, cwd=ROOT)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (pulled.returncode, pulled.stdout) == (0, ""), pulled.stderr
    assert "clip-b32 is there; now: photosearch index --model clip-b32" in pulled.stderr
    assert list(catalog.list_added()) == ["clip-b32"]
