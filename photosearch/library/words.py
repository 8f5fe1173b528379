"""Photos by the words in what is written about them: folders, file names, titles, captions, keywords, people, places.

Each word may be in another of these. A user's word is always a quoted string for SQLite, never its syntax. The index is
described in schema.py: https://www.sqlite.org/fts5.html
"""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from photosearch.library.database import Database, SqlValue
from photosearch.library.schema import WORD_KINDS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_WORDS = 32  # of a question; more are not asked for
CHUNK = 1_000  # photos that are looked up at a time
_WORD = re.compile(r'"([^"]*)"|(\S+)')
# How to come from a hit `h`, a row of `words`, to photos, by the table that it is of.
_PHOTOS = {
    "photos": "SELECT h.doc >> 3 AS photo_id FROM hits h",
    "details": "SELECT h.doc >> 3 FROM hits h",
    "folders": "SELECT p.id FROM hits h CROSS JOIN photos p ON p.folder_id = h.doc >> 3",
    "roots": "SELECT p.id FROM hits h CROSS JOIN folders f ON f.root_id = h.doc >> 3 "
             "CROSS JOIN photos p ON p.folder_id = f.id",
    "places": "SELECT d.photo_id FROM hits h CROSS JOIN details d ON d.place_id = h.doc >> 3",
    "terms": "SELECT t.photo_id FROM hits h CROSS JOIN photo_terms t ON t.term_id = h.doc >> 3",
}  # fmt: skip


def split_words(text: str) -> list[str]:
    """A user's words, each once; what is in double quotes is one phrase."""
    text = "".join(c if c.isprintable() else " " for c in text)  # a NUL would end it for SQLite
    found = (" ".join((phrase or word).replace('"', " ").split()) for phrase, word in _WORD.findall(text))
    return list(dict.fromkeys(word for word in found if any(map(str.isalnum, word))))[:MAX_WORDS]


def quote_word(word: str, *, prefix: bool = False) -> str:
    """A word or phrase without double quotes, as FTS5 takes it. prefix: longer words that begin with it match too."""
    return f'"{word}"{"*" if prefix else ""}'


def match_words(
    text: str, *, columns: Sequence[str] = (), tables: Sequence[str] = (), prefix: bool = False
) -> tuple[str, list[SqlValue]]:
    """SQL, and its values, for (photo_id, matches) of the photos that have every word. No word: no photo.

    columns: of `words`, where the words may be; tables: what they may be said of; empty: all.
    """
    words = split_words(text)
    if not words:
        return "SELECT NULL AS photo_id, 0 AS matches WHERE 0", []
    where = f"{{{' '.join(columns)}}} : " if columns else ""
    hits = " UNION ALL ".join(f"SELECT {n}, rowid FROM words WHERE words MATCH ?" for n in range(len(words)))
    found = " UNION ALL ".join(
        f"{_PHOTOS[table]} WHERE h.doc & 7 = {kind}"
        for kind, table in WORD_KINDS.items()
        if not tables or table in tables
    )
    sql = f"""
        WITH hits(word, doc) AS MATERIALIZED ({hits})
        SELECT m.photo_id AS photo_id, count(*) AS matches
        FROM (SELECT 0 AS word, 0 AS photo_id WHERE 0 UNION ALL {found}) m
        GROUP BY m.photo_id HAVING count(DISTINCT m.word) = {len(words)}
    """
    return sql, [where + quote_word(word, prefix=prefix) for word in words]


def find_by_words(db: Database, text: str, *, prefix: bool = False, limit: int | None = None) -> list[tuple[int, int]]:
    """(photo id, number of matches) of the photos on the disk that have every word, most matches first.

    A match is a word in a folder, a name, a text, a place or a keyword. No word: no photo.
    """
    import numpy as np  # which a question by label does without

    ids, matches = np.empty(0, np.int64), np.empty(0, np.int64)
    for n, word in enumerate(split_words(text)):
        more, times = np.unique(_find_photos(db, quote_word(word, prefix=prefix)), return_counts=True)
        if n == 0:
            ids, matches = more, times
        else:
            ids, here, there = np.intersect1d(ids, more, assume_unique=True, return_indices=True)
            matches = matches[here] + times[there]
    order = np.lexsort((ids, -matches))
    found: list[tuple[int, int]] = []
    for first in range(0, len(order), CHUNK):
        counted = {int(ids[i]): int(matches[i]) for i in order[first : first + CHUNK]}
        present = db.rows(
            """
            SELECT p.id FROM json_each(?) j CROSS JOIN photos p ON p.id = j.value
            WHERE p.absent IS NULL AND p.image_id IS NOT NULL ORDER BY j.key
            """,
            [json.dumps(list(counted))],
        )
        found += ((photo_id, counted[photo_id]) for (photo_id,) in present)
        if limit is not None and len(found) >= limit:
            return found[:limit]
    return found


def _find_photos(db: Database, word: str) -> "npt.NDArray[np.int64]":
    """The ids of the photos with a word, once for each match, in no order."""
    import numpy as np

    photos = " UNION ALL ".join(f"{_PHOTOS[table]} WHERE h.doc & 7 = {kind}" for kind, table in WORD_KINDS.items())
    sql = f"WITH hits(doc) AS MATERIALIZED (SELECT rowid FROM words WHERE words MATCH ?) {photos}"
    rows = db.rows(sql, [word])
    return np.fromiter((photo_id for (photo_id,) in rows), np.int64, len(rows))
