"""One library of toy photos and one server for all tests of a file, since starting one takes a second."""

import functools
from collections.abc import Iterator

import pytest
from cli_env import Desk, make_desk
from http_client import HttpClient, run_server
from library import KEPT, kept_decoders
from toy import photo, sight_card, write_toy, write_toy_text

from photosearch import Library
from photosearch.index import run


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Ten readable photos, two of them equal, and a broken one, indexed with two models; the default is `toy`."""
    folder = tmp_path_factory.mktemp("desk")
    desk = make_desk(folder)
    write_toy(desk.model, sight_card())
    (folder / "models").mkdir()
    write_toy_text(folder / "models" / "toy-text.onnx")
    for i, colour in enumerate(("red", "green", "blue", "black")):
        photo(desk.photos / "2020" / f"IMG_2020050{i + 1}_120000.png", colour, size=(400 + i, 300))
    (desk.photos / "copy.png").write_bytes((desk.photos / "2019" / "white.png").read_bytes())
    photo(desk.photos / "<script>.jpg", "blue", size=(90, 60))
    (desk.photos / "broken.jpg").write_bytes(b"no photo at all")
    with pytest.MonkeyPatch.context() as patch, kept_decoders():
        patch.setenv("PHOTOSEARCH_DB", str(desk.library))
        patch.setenv("PHOTOSEARCH_MODELS", str(folder / "models"))
        patch.setattr(run, "index", functools.partial(run.index, decoders=KEPT[-1]))
        assert desk.index().exit_code == 0
        assert desk.run("index", desk.photos, "--model", desk.other).exit_code == 0
        with Library(desk.library) as library:
            library.models.set_default("toy")
        yield desk


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[HttpClient]:
    with run_server(desk.library, "--albums", desk.folder / "albums") as client:
        yield client
