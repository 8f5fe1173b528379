"""Models of an open library: loaded once, and freed."""

from pathlib import Path

from toy import write_toy

from photosearch import Library


def test_model_is_loaded_once_and_anew_after_it_was_freed(tmp_path: Path) -> None:
    toy = str(write_toy(tmp_path / "toy.onnx"))
    with Library(tmp_path / "library.db") as library:
        session = library._session
        first = session.load(toy, "cpu")
        assert session.load(toy, "cpu") is first
        session.unload()
        assert session.load(toy, "cpu") is not first
