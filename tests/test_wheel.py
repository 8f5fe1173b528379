"""What a user installs: the package and its models, no torch, and it runs."""

import json
import os
import subprocess
import sys
import zipfile
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from toy import photo, write_toy

from photosearch.models.catalog import DEFAULT_MODEL, SHIPPED

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
# None in sys.modules makes an import fail: what only the checkout has must not be missed.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys(['torch', 'onnx', 'train', 'scipy', 'matplotlib']))"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (path,) = folder.glob("*.whl")
    return path


def pip(*arguments: object) -> str:
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wheel_contains_package_and_models_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"photosearch", "photosearch-0.1.0.dist-info"}
    files = {name.rpartition("/")[2] for name in names if name.endswith(".onnx")}
    assert files == {path.name for path in SHIPPED.glob("*.onnx")}
    texts = {name.removesuffix(".onnx") for name in files if name.endswith("-text.onnx")}
    models = {name.removesuffix(".onnx") for name in files} - texts
    assert {DEFAULT_MODEL, "bird-classic"} <= models
    assert "bird-best32" not in models, "nobody's photos are 32 pixels wide"
    assert {name.removesuffix("-text") for name in texts} <= models
    tokenizers = {f"photosearch/models/shipped/{name}.tokenizer.json" for name in texts}
    rest = {name for name in names if name.startswith("photosearch/") and not name.endswith((".py", ".onnx"))}
    words = {
        f"photosearch/search/{name}"
        for name in "labels.csv synonyms.csv descriptions.txt lexicon.txt WORDNET-LICENSE.txt".split()
    }
    places = {f"photosearch/metadata/{name}" for name in ("places.npz", "GEONAMES-LICENSE.txt")}
    web = ROOT / "photosearch" / "web"
    pages = {str(p.relative_to(ROOT)) for p in (*web.glob("templates/*.html"), *web.glob("static/*.*"))}
    assert {p.rpartition(".")[2] for p in pages} == {"html", "css", "js", "mjs", "svg", "json"}
    assert rest == {"photosearch/py.typed", *tokenizers, *words, *places, *pages}


def test_installing_it_brings_no_torch(wheel: Path) -> None:
    """What it requires, and what these packages require, as they are installed here."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = (name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        asked = message_from_bytes(file.read(name)).get_all("Requires-Dist")
    names: set[str] = set()
    while asked:
        wanted = [Requirement(text) for text in asked]
        new = {w.name.lower() for w in wanted if w.marker is None or w.marker.evaluate({"extra": ""})} - names
        names |= new
        asked = [text for name in new for text in metadata.requires(name) or ()]
    assert {"numpy", "rich", "markdown-it-py"} <= names, "rich brings the last one"
    assert names & {"torch", "onnx", "scipy", "sklearn", "scikit-learn", "matplotlib"} == set()


def test_wheel_indexes_and_finds_without_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    photo(tmp_path / "photos" / "red.jpg", "red")
    model = write_toy(tmp_path / "toy.onnx")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PHOTOSEARCH_DB": str(tmp_path / "library.db")}

    def photosearch(*arguments: object) -> str:
        code = f"{WITHOUT}; from photosearch.cli.app import main; main()"
        command = [sys.executable, "-P", "-c", code, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "Find the photos you describe" in photosearch("--help")
    assert json.loads(photosearch("index", tmp_path / "photos", "--model", model, "--json"))["new"] == 1
    assert photosearch("find", "red", "--paths") == f"{tmp_path}/photos/red.jpg\n"
