"""A library in which its user has made something of each kind, and damaged copies of it."""

import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from embedding_library import card
from library import kept_decoders
from PIL import Image
from toy import write_toy, write_toy_text

from photosearch import Library

N = 8  # photos of a kind
PAGE = 512  # bytes; small, so that each table has pages of its own


def make_photos(folder: Path) -> Path:
    folder.mkdir()
    for i in range(N):
        colours = {
            "dark": (10 + i, 20 + (5 * i) % 17, 30 - i),
            "red": (250 - i, 20 + 3 * i, 10 + (7 * i) % 40),
            "white": (250 - 2 * i, 235 + i, 230 + (5 * i) % 13),
        }
        for kind, colour in colours.items():
            Image.new("RGB", (16, 16), colour).save(folder / f"{kind}{i}.png")
    return folder


def index(library: Library, *folders: Path) -> None:
    with kept_decoders():
        list(library.index(*folders, models=["toy"], workers=1, provider="cpu"))


def fill(library: Library, photos: Path) -> None:
    """A label of each kind: described, learned, a model's with a saved threshold; marks and samples of them."""
    index(library, photos)
    library.folders.set(photos, exclude=["*.tmp"])
    library.labels.add("night", "black")
    library.labels.add("dusk", "black red")
    for label, kind, n in (("red", "red", 5), ("dark", "dark", N - 1)):
        for other in ("red", "dark", "white"):
            paths = [photos / f"{other}{i}.png" for i in range(n)]
            side = "positive" if kind == other else "negative"
            library.marks.add(paths, **{side: [label]}, new=True)
    assert library.labels.learn("dark").kept == "learned"
    library.samples.draw("red", 10)
    library.samples.judge("red", ["1", "2"])
    library.samples.draw("night", 6, seed=1)
    library.samples.judge("night", ["3"])
    for name, threshold in (("red", 0.7), ("red", 0.6), ("night", 0.75)):
        library.labels.set_threshold(library.labels.get(name), threshold)
    library.marks.add(photos / "white7.png", negative=["night"])


def make_folder(folder: Path) -> None:
    """Write photos/, and whole.db: a library with a row of each kind. PHOTOSEARCH_MODELS must be the folder."""
    write_toy(folder / "toy.onnx", card())
    write_toy_text(folder / "toy-text.onnx")
    make_photos(folder / "photos")
    with Library(folder / "whole.db") as library:
        fill(library, folder / "photos")
    with closing(sqlite3.connect(folder / "whole.db")) as conn:
        for statement in ("journal_mode = DELETE", f"page_size = {PAGE}"):
            conn.execute(f"PRAGMA {statement}")
        conn.execute("VACUUM")
        conn.execute("PRAGMA journal_mode = WAL")


def overwrite_pages(folder: Path, what: str | int) -> bytes:
    """The library with all pages of a table or an index overwritten; of a number: five random pages."""
    whole, rng = (folder / "whole.db").read_bytes(), random.Random(what)
    with closing(sqlite3.connect(folder / "whole.db")) as conn:
        pages = [page for (page,) in conn.execute("SELECT pageno FROM dbstat WHERE name = ?", [what])]
    data = bytearray(whole)
    for page in pages if isinstance(what, str) else rng.sample(range(2, len(whole) // PAGE + 1), 5):
        data[PAGE * (page - 1) : PAGE * page] = rng.choice((rng.randbytes(PAGE), bytes(PAGE), b"\xff" * PAGE))
    return bytes(data)


def put_library(folder: Path, data: bytes) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "library.db").write_bytes(data)
    return folder / "library.db"
