"""The options of a search, which several methods take, and the one place that makes a Question of them.

A new filter is a field of `Question` (search/understand.py) and a line here.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

if TYPE_CHECKING:
    from photosearch.search.understand import Question


class PhotoFilters(TypedDict, total=False):
    """Which photos count, whatever they show; all may be left out.

    under: a folder. since, until: a local date such as 2024, 2024-05 or 2024-05-31, inclusive. file_dates: use the
    file's date where a photo has none.
    """

    under: str | Path | None
    since: str | None
    until: str | None
    file_dates: bool


class SearchOptions(PhotoFilters, total=False):
    """How words are read, which photos may answer, and in which order; all may be left out.

    query_mode: read the words only as labels, or as one description. like, unlike: photos that the results should (not)
    resemble, 2:a.jpg weighs twice. min_score: instead of the labels' thresholds, 0..1. min_similarity: -1..1.
    sure_only: leave out photos that only come near. copies: list each copy of a picture. album: an album's name.
    under, since, until, file_dates: as of PhotoFilters. sort: best first, or newest first. model: instead of the
    default.
    """

    query_mode: Literal["label", "text"] | None
    like: Sequence[str | Path]
    unlike: Sequence[str | Path]
    min_score: float | None
    min_similarity: float | None
    sure_only: bool
    copies: bool
    album: str | None
    sort: Literal["best", "date"]
    model: str | None


def make_question(
    words: str,
    *,
    limit: int | None = None,
    max_labeled: int | None = None,
    max_similar: int | None = None,
    today: str | None = None,
    **options: "Unpack[SearchOptions]",
) -> "Question":
    """What is asked. limit: stands for max_labeled and max_similar where these are None."""
    from photosearch.search.understand import Question

    texts: dict[str, Any] = {**options}
    for name in ("like", "unlike"):
        texts[name] = tuple(os.fspath(photo) for photo in texts.get(name, ()))
    if (under := options.get("under")) is not None:
        texts["under"] = os.fspath(under)
    if max_labeled is None:
        max_labeled = limit
    return Question(words, max_labeled, limit if max_similar is None else max_similar, today=today, **texts)
