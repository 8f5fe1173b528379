"""Checks that everything works on this machine, and how fast: each part is timed on a generated image.

Touches neither the user's photos nor the user's library.
"""

import io
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from photosearch.errors import PhotosearchError
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.models import put_model
from photosearch.library.photos import FileRecord, put_image, put_photo
from photosearch.library.scores import put_prediction
from photosearch.models.card import Card
from photosearch.models.catalog import read_card
from photosearch.models.session import Model
from photosearch.ocr.reader import GATE_SIZE, TextReader, find_reader
from photosearch.photos import decode
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.walk import Photo

MEGAPIXELS_12 = (4000, 3000)
BATCH = 16


@dataclass(frozen=True, slots=True)
class Check:
    """milliseconds: for one photo, the median of several runs; None if it failed.

    installed: False for what an optional extra adds and is not there, which neither works nor fails.
    """

    name: str
    works: bool
    detail: str
    milliseconds: float | None = None
    installed: bool = True

    @property
    def fails(self) -> bool:
        return self.installed and not self.works


def examine(model_path: Path, providers: Sequence[str]) -> Iterator[Check]:
    """Check decoding, each of the providers, and storing; yield each result at once."""
    size = Model(model_path, provider="cpu").card.input_size
    with tempfile.TemporaryDirectory() as folder:
        yield _check_decoding(Path(folder), size)
        for name in providers:
            yield _check_provider(model_path, name)
        yield _check_storing(Path(folder), model_path)
    yield _check_text()


def _check_decoding(folder: Path, size: int) -> Check:
    path = folder / "12mp.jpg"
    path.write_bytes(make_jpeg())
    status = path.stat()
    photo = Photo(str(path), status.st_size, status.st_mtime_ns)
    decoders = DecoderPool(1, DecodeOptions((decode.ViewSpec(size),)))
    try:
        decoders.open(photo, lambda _: (0,))  # starts the child
        milliseconds = _time_ms(lambda: decoders.open(photo, lambda _: (0,)))
    except decode.Unreadable as error:
        return Check("decoding", False, error.reason)
    finally:
        decoders.close()
    return Check("decoding", True, f"a 12-megapixel JPEG, one of {os.cpu_count()} cores", milliseconds)


def _check_provider(model_path: Path, name: str) -> Check:
    try:
        model = Model(model_path, provider=name)
        size = model.card.input_size
        batch = np.zeros((BATCH, 1, size, size, 3), np.uint8)
        milliseconds = _time_ms(lambda: model.predict(batch)) / BATCH
    except PhotosearchError as error:
        return Check(f"provider {name}", False, str(error))
    works = name in ("auto", model.provider)
    reason = f" ({model.fallback})" if model.fallback else ""
    return Check(f"provider {name}", works, f"runs {model.card.name} on {model.provider}{reason}", milliseconds)


def _check_storing(folder: Path, model_path: Path) -> Check:
    card = read_card(model_path)
    assert isinstance(card, Card)
    with Database(folder / "doctor.db", create=True) as db:
        model_id, label_ids = put_model(db, card, "doctor", 0)
        scope = add_root(db, str(folder))
        folder_id = put_folder(db, scope, str(folder))

        def put_batch() -> None:
            with db.transaction():
                for _ in range(BATCH):
                    content_hash = random.randbytes(32)
                    image_id = put_image(db, content_hash, 1, 1)
                    put_photo(db, folder_id, content_hash.hex(), FileRecord(1, 1), image_id)
                    put_prediction(db, image_id, model_id, label_ids, dict.fromkeys(list(label_ids)[:8], 0.5))

        return Check("storing", True, f"a transaction of {BATCH} photos", _time_ms(put_batch) / BATCH)


def _check_text() -> Check:
    if (reason := find_reader()) is not None:
        return Check("text in pictures", False, reason, installed=False)
    picture = Image.new("RGB", (GATE_SIZE, GATE_SIZE // 2), "white")
    ImageDraw.Draw(picture).text((20, 60), "Gate 14", fill="black", font_size=60)
    try:
        reader = TextReader()
        read = " ".join(line.text for line in reader.read(np.asarray(picture)))
        blank = np.zeros((GATE_SIZE * 3 // 4, GATE_SIZE, 3), np.uint8)
        milliseconds = _time_ms(lambda: reader.may_have_text(blank))
    except (PhotosearchError, ValueError) as error:
        return Check("text in pictures", False, str(error))
    return Check("text in pictures", read == "Gate 14", f"read {read!r} in a picture of 'Gate 14'; time without text",
                 milliseconds)  # fmt: skip


def make_jpeg() -> bytes:
    """A 12-megapixel JPEG of about 3 MB with soft colours and grain, like a camera's."""
    rng = np.random.default_rng(0)
    soft = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize(MEGAPIXELS_12)
    grain = Image.effect_noise(MEGAPIXELS_12, 12).convert("RGB")
    file = io.BytesIO()
    Image.blend(soft, grain, 0.4).save(file, "JPEG", quality=88)
    return file.getvalue()


def _time_ms(function: Callable[[], object], runs: int = 7) -> float:
    """The median, in milliseconds."""
    milliseconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        milliseconds.append((time.perf_counter() - start) * 1000)
    return sorted(milliseconds)[runs // 2]
