"""The user's own labels after a run: new photos get scores, and nothing is done where nothing changed."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, WINE, Seen, open_seen

from photosearch.errors import QueryError
from photosearch.index.rescore import STATE, rescore_user_labels
from photosearch.library.runs import read_value
from photosearch.search.similar import SimilaritySearch


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Seen]:
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        for name, colour in {"red": RED, "wine": WINE, "green": GREEN, "black": BLACK}.items():
            seen.photo(f"{name}.png", colour)
        seen.index()
        seen.asks.labels.add("night", "black")
        yield seen


def rescore(seen: Seen) -> int:
    """-> how often a search was opened."""
    opened = 0

    def open_search(model: str) -> SimilaritySearch:
        nonlocal opened
        opened += 1
        return seen.asks._session.open_search(model)

    rescore_user_labels(seen.under.db, open_search)
    return opened


def test_rescore_scores_new_photos_for_a_described_label(seen: Seen) -> None:
    rescore(seen)
    seen.photo("night.png", (1, 1, 1))
    seen.index()
    assert "night.png" not in seen.find("night", query_mode="label")
    rescore(seen)
    assert "night.png" in seen.find("night", query_mode="label")


def test_rescore_scores_new_photos_for_a_learned_label(seen: Seen) -> None:
    for i in range(6):
        seen.photo(f"dark{i}.png", (i, 2 * i, i))
        seen.photo(f"bright{i}.png", (250 - i, 3 * i, i))
    seen.index()
    for i in range(6):
        seen.asks.marks.add(seen.folder / f"dark{i}.png", positive=["dim"], new=True)
        seen.asks.marks.add(seen.folder / f"bright{i}.png", negative=["dim"], new=True)
    seen.asks.labels.learn("dim")
    seen.photo("late.png", (2, 1, 2))
    seen.index()
    assert "late.png" not in seen.find("dim", query_mode="label")
    rescore(seen)
    assert "late.png" in seen.find("dim", query_mode="label")


def test_rescore_opens_no_labels_again_where_nothing_changed(seen: Seen) -> None:
    assert rescore(seen) == 2, "for the label, and for the similarities of descriptions"
    assert rescore(seen) == 1
    seen.photo("blue.png", BLUE)
    seen.index()
    assert rescore(seen) == 2


def test_rescore_is_tried_again_where_a_models_files_are_gone(seen: Seen) -> None:
    rescore(seen)
    state = read_value(seen.under.db, STATE)
    seen.photo("blue.png", BLUE)
    seen.index()

    def fail(model: str) -> SimilaritySearch:
        raise QueryError(f"{model} gives no vectors")

    with pytest.raises(QueryError):  # of the default model: no search could work
        rescore_user_labels(seen.under.db, fail)
    assert read_value(seen.under.db, STATE) == state
    rescore(seen)
    assert read_value(seen.under.db, STATE) not in (None, state)
