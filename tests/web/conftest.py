"""One library of toy photos and one server for all tests of a file, since starting one takes a second."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_env import CliEnv, make_cli_env
from http_client import HttpClient, run_server
from library import kept_decoders
from PIL import Image
from toy import photo, sight_card, write_toy, write_toy_text

from photosearch import Library


@pytest.fixture(scope="module")
def cli_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CliEnv]:
    """Ten readable photos, two of them equal, and a broken one, indexed with two models; the default is `toy`."""
    folder = tmp_path_factory.mktemp("cli_env")
    cli_env = make_cli_env(folder)
    write_toy(cli_env.model, sight_card())
    (folder / "models").mkdir()
    write_toy_text(folder / "models" / "toy-text.onnx")
    for i, colour in enumerate(("red", "green", "blue", "black")):
        photo(cli_env.photos / "2020" / f"IMG_2020050{i + 1}_120000.png", colour, size=(400 + i, 300))
    (cli_env.photos / "copy.png").write_bytes((cli_env.photos / "2019" / "white.png").read_bytes())
    photo(cli_env.photos / "<script>.jpg", "blue", size=(90, 60))
    (cli_env.photos / "broken.jpg").write_bytes(b"no photo at all")
    with pytest.MonkeyPatch.context() as patch, kept_decoders():
        patch.setenv("PHOTOSEARCH_DB", str(cli_env.library))
        patch.setenv("PHOTOSEARCH_MODELS", str(folder / "models"))
        assert cli_env.index().exit_code == 0
        assert cli_env.run("index", cli_env.photos, "--model", cli_env.other).exit_code == 0
        with Library(cli_env.library) as library:
            library.models.set_default("toy")
        yield cli_env


@pytest.fixture(scope="module")
def leaves(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A library of twelve greens and twelve blues, and a copy of the darkest green."""
    folder = tmp_path_factory.mktemp("leaves")
    write_toy(folder / "toy.onnx", sight_card())
    write_toy_text(folder / "toy-text.onnx")
    (folder / "photos").mkdir()
    for i in range(12):
        for name, colour in (("leaf", (20, 120 + 10 * i, 20)), ("sky", (20, 20, 120 + 10 * i))):
            Image.new("RGB", (60 + i, 40), colour).save(folder / "photos" / f"{name}{i:02}.png")
    shutil.copy(folder / "photos" / "leaf00.png", folder / "photos" / "leaf00 copy.png")
    with pytest.MonkeyPatch.context() as patch, kept_decoders(), Library(folder / "library.db") as library:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        list(library.index(folder / "photos", models=[str(folder / "toy.onnx")]))
        yield library.path


@pytest.fixture(scope="module")
def client(cli_env: CliEnv) -> Iterator[HttpClient]:
    with run_server(cli_env.library, "--albums", cli_env.folder / "albums") as client:
        yield client
