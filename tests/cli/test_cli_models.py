"""`models`: list, show, default, add, pull, remove."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from cli_env import CliEnv, fail, names
from toy import photo, toy_card, write_toy
from two_towers import immich, put, rclip, sees, transformers_js
from typer.testing import CliRunner, Result

from photosearch.cli.app import app
from photosearch.models import catalog
from photosearch.models.catalog import DEFAULT_MODEL, list_shipped

ROOT = Path(__file__).parents[2]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.mark.option("models --json")
def test_models_lists_without_loading_onnx_runtime(cli_env: CliEnv) -> None:
    (cli_env.folder / "models").mkdir()
    write_toy(cli_env.folder / "models" / "mine.onnx", toy_card(name="mine", labels=tuple("abc"), pooling={}))
    rows = json.loads(cli_env.run("models", "--json").stdout)
    keys = ["name", "version", "labels", "outputs", "input_size", "default", "path"]
    assert [list(row) for row in rows] == [keys] * len(rows)
    assert [row["name"] for row in rows] == [*list_shipped(), "mine"]
    assert [row["name"] for row in rows if row["default"]] == [DEFAULT_MODEL]
    assert cli_env.run("models").stdout.splitlines()[-1] == "mine\t1\tscores\ta, b, c\t8 px\t"
    program = (
        "import atexit, sys; from photosearch.cli.app import main; "
        "atexit.register(lambda: print(sorted({'onnxruntime', 'numpy'} & set(sys.modules)))); main()"
    )
    command = [sys.executable, "-P", "-c", program, "models"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.option("models show --json")
def test_models_show_json_is_whole_card(cli_env: CliEnv) -> None:
    card = json.loads(cli_env.run("models", "show", cli_env.model, "--json").stdout)
    assert card == json.loads(toy_card().to_json())
    assert json.loads(cli_env.run("models", "show", DEFAULT_MODEL, "--json").stdout)["name"] == DEFAULT_MODEL
    error = fail(cli_env.run("models", "show", "nothing"))
    assert [part for part in ("'nothing'", *list_shipped()) if part not in error] == []


def test_models_show_describes_model(cli_env: CliEnv) -> None:
    pooled = {"4": dict.fromkeys("abc", (1.0, 0.0, 0.0))}
    measured = ({"split": "test", "label": "a", "n": 10, "precision": 0.5, "recall": None},)
    card = toy_card(name="mine", labels=tuple("abc"), pooling=pooled, trained_on="red \x1b[1m squares",
                    measured=measured, details={"history": "long"})  # fmt: skip
    path = write_toy(cli_env.folder / "mine.onnx", card)
    lines = cli_env.run("models", "show", path).stdout.splitlines()
    rows = {line[:15].strip(): line[16:] for line in lines}
    assert (rows["model"], rows["file"], rows["labels"]) == ("mine, version 1", str(path), "3: a, b, c")
    assert rows["input"].startswith("8x8 pixels")
    assert (rows["tiles"], rows["trained on"], rows["history"]) == ("0, 4", "red \\x1b[1m squares", "long")
    assert lines[-2].split()[:2] == ["split", "label"]
    assert lines[-1].split() == ["test", "a", "10", "0.500"]


def test_models_default_needs_indexed_photos(cli_env: CliEnv) -> None:
    cli_env.index()
    error = fail(cli_env.run("models", "default", "other"))
    assert [part for part in ("photosearch index --model other", "toy") if part not in error] == []
    cli_env.run("index", cli_env.photos / "2019", "--model", cli_env.other)
    assert cli_env.run("models", "default", "other").stdout == ""
    assert json.loads(cli_env.run("status", "--json").stdout)["default_model"] == "other"
    assert names(cli_env.run("find", "red", "--json")) == ["white.png"]


# ---- add, remove


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """No library, no model, three photos."""
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("PHOTOSEARCH_DB", str(tmp_path / "library.db"))
    for name in ("red", "green", "blue"):
        photo(tmp_path / "photos" / f"{name}.png", name, size=(16, 16))
    return tmp_path


@pytest.mark.parametrize("layout", [transformers_js, immich, rclip])
@pytest.mark.option("models remove --yes")
def test_models_add_index_find_remove(folder, layout: Callable[[Path], Path]):
    result = run("models", "add", layout(folder / "clip"))
    assert (result.exit_code, result.stdout) == (0, "")
    called = layout.__name__.replace("_", ".")
    assert f"layout: {called}" in result.stderr
    assert "photosearch index --model clip" in result.stderr
    assert "clip" in run("models").stdout
    looked = run("index", folder / "photos", "--model", "clip", "--workers", "1", "--provider", "cpu")
    assert looked.exit_code == 0, looked.output
    for word in ("green", "blue"):
        found = run("find", word, "--json", "--min-similarity", "-1")
        assert names(found)[0] == f"{word}.png"
        assert json.loads(found.stdout)["models"] == ["clip"]
    assert "clip" in fail(run("find", "--label", "green"))
    assert "clip" in fail(run("models", "add", folder / "clip"))
    assert "--yes" in fail(run("models", "remove", "clip"))
    removed = run("models", "remove", "clip", "--yes")
    assert (removed.exit_code, catalog.list_added()) == (0, {})
    assert "text model" in fail(run("find", "green"))


def broken_file(name: str, data: bytes | None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink() if data is None else (folder / name).write_bytes(data)

    return change


def other_width(folder: Path) -> None:
    sees(folder / "onnx/vision_model.onnx", width=5)


def other_size(folder: Path) -> None:
    put(folder / "preprocessor_config.json", {"size": "large"})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (broken_file("onnx/vision_model.onnx", None), "onnx/vision_model.onnx"),
        (broken_file("onnx/text_model.onnx", None), "onnx/text_model.onnx"),
        (broken_file("tokenizer.json", None), "tokenizer.json"),
        (broken_file("onnx/vision_model.onnx", b"no model"), "vision_model.onnx: "),
        (broken_file("tokenizer.json", b"{"), "tokenizer.json: "),
        (other_width, "(1, 4)"),
        (other_size, "'large'"),
    ],
)
def test_models_add_rejects_broken_folder(folder, change, named):
    model = transformers_js(folder / "clip")
    change(model)
    assert named in fail(run("models", "add", model))
    assert catalog.list_added() == {}
    assert not (folder / "models").exists() or not list((folder / "models").iterdir())


def test_models_add_and_remove_reject_wrong_names(folder):
    assert "nowhere" in fail(run("models", "add", "nowhere"))
    assert "a/b" in fail(run("models", "add", transformers_js(folder / "clip"), "--name", "a/b"))
    assert "nothing" in fail(run("models", "remove", "nothing", "--yes"))
    assert catalog.DEFAULT_MODEL in fail(run("models", "remove", catalog.DEFAULT_MODEL, "--yes"))


# ---- pull


def test_models_pull_lists_and_asks(folder):
    offered = run("models", "pull")
    assert [line.split("\t")[0] for line in offered.stdout.splitlines()] == [
        "siglip2-b32-256", "openclip-b32-256", "clip-b32",
    ]  # fmt: skip
    asked = run("models", "pull", "clip-b32")
    assert (asked.exit_code, asked.stdout) == (1, "")
    shown, refusal = asked.stderr.splitlines()
    assert "licence: MIT" in shown
    assert refusal.startswith("photosearch: ")
    assert [part for part in ("clip-b32", "--yes") if part not in refusal] == []
    assert not (folder / "models").exists()
    error = fail(run("models", "pull", "clip", "--yes"))
    assert [part for part in ("'clip'", "clip-b32") if part not in error] == []


@pytest.mark.slow
def test_models_pull_from_loopback_hub(folder):
    pytest.importorskip("huggingface_hub")
    from models.test_hub import Hub, files_of, handler

    hub = Hub(files_of(transformers_js(folder / "published")))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_address[1]}"
        command = [sys.executable, "-c", "from photosearch.cli.app import main; main()", "models", "pull", "clip-b32"]
        env = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(folder / "hf")}
        refusal = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT, stdin=subprocess.DEVNULL)
        assert (refusal.returncode, hub.asked) == (1, [])
        pulled = subprocess.run([*command, "--yes"], capture_output=True, text=True, env=env, cwd=ROOT)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert (pulled.returncode, pulled.stdout) == (0, ""), pulled.stderr
    assert "photosearch index --model clip-b32" in pulled.stderr
    assert list(catalog.list_added()) == ["clip-b32"]
