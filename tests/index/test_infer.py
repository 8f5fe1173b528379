"""Inference without a library: photos in, batches of results out."""

import shutil
import threading
from pathlib import Path

import pytest
from library import InThisProcess
from toy import photo, toy_card, write_toy

from photosearch.errors import ModelError
from photosearch.index.infer import LoadedScorer, PhotoResult, Scorer, infer
from photosearch.models.session import Model
from photosearch.photos.decoders import OpenResult, SelectViews
from photosearch.photos.walk import Photo, find_photo


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(write_toy(tmp_path / "toy.onnx"), provider="cpu", threads=1)


def write_photos(folder: Path, n: int) -> list[Photo]:
    found = [find_photo(str(photo(folder / f"{i}.png", size=(64, 48 + i)))) for i in range(n)]
    return [one for one in found if one is not None]


def run(items: list[Photo | str], scorers: list[LoadedScorer], **options: object) -> list[list[PhotoResult] | str]:
    return list(infer(items, scorers, workers=2, decoders=InThisProcess, **options))


def test_infer_yields_batches_in_order_and_other_items_at_once(tmp_path: Path, model: Model) -> None:
    photos = write_photos(tmp_path, 5)
    found = run([*photos[:3], "other", *photos[3:]], [LoadedScorer(model)], batch_size=2)
    batches = [item for item in found if isinstance(item, list)]
    assert [[result.photo for result in batch] for batch in batches] == [photos[:2], photos[2:4], photos[4:]]
    assert found[1] == "other", "before the batch that was not full yet"
    key = Scorer(model.digest)
    assert all(set(result.predictions) == {key} and result.decoded for batch in batches for result in batch)


def test_infer_keys_predictions_by_model_and_tiles(tmp_path: Path, model: Model) -> None:
    (batch,) = run([*write_photos(tmp_path, 1)], [LoadedScorer(model), LoadedScorer(model, 4)])
    assert isinstance(batch, list)
    assert set(batch[0].predictions) == {Scorer(model.digest), Scorer(model.digest, 4)}


def test_infer_decodes_no_photo_that_nobody_wants_and_scores_a_content_once(tmp_path: Path, model: Model) -> None:
    photos = write_photos(tmp_path, 2)
    shutil.copy(photos[0].path, tmp_path / "copy.png")
    copy = find_photo(str(tmp_path / "copy.png"))
    assert copy is not None
    key = Scorer(model.digest)

    def find_wanted(photo: Photo, content_hash: bytes) -> list[Scorer]:
        return [] if photo == photos[1] else [key]

    (batch,) = run([*photos, copy], [LoadedScorer(model)], wanted=find_wanted)
    assert isinstance(batch, list)
    assert [(result.decoded, len(result.predictions)) for result in batch] == [(True, 1), (False, 0), (True, 0)]


def test_infer_reports_an_unreadable_photo_with_its_reason(tmp_path: Path, model: Model) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    missing = Photo(str(tmp_path / "missing.jpg"), 1, 1)
    broken = find_photo(str(tmp_path / "broken.jpg"))
    assert broken is not None
    (batch,) = run([broken, missing], [LoadedScorer(model)])
    assert isinstance(batch, list)
    assert [(result.transient, result.content_hash) for result in batch] == [(False, None), (True, None)]
    assert all(result.reason for result in batch)


def test_scorer_refuses_tiles_that_its_model_lacks(tmp_path: Path) -> None:
    plain = Model(write_toy(tmp_path / "plain.onnx", toy_card(pooling={})), provider="cpu", threads=1)
    with pytest.raises(ModelError, match="can't use tiles"):
        LoadedScorer(plain, 4)


def test_infer_that_is_ended_opens_no_more_photos(tmp_path: Path, model: Model) -> None:
    photos, opened, closed = write_photos(tmp_path, 24), list[Photo](), threading.Event()

    class Pool(InThisProcess):
        def open(self, photo: Photo, wanted: SelectViews) -> OpenResult:
            opened.append(photo)
            if len(opened) > 4:
                closed.wait(60)
            return super().open(photo, wanted)

        def close(self) -> None:
            closed.set()

    batches = infer(photos, [LoadedScorer(model)], workers=2, decoders=Pool, batch_size=4)
    next(batches)
    batches.close()
    assert (closed.is_set(), len(opened) < 12) == (True, True), "those that the workers had begun, and one more each"
