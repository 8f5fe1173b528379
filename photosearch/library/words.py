"""Photos by words: in folders, file names, titles, captions, keywords, people, places, and in the pictures themselves.

Each word may be in another of these. A user's word is always a quoted string for SQLite, never its syntax. The index is
described in schema.py: https://www.sqlite.org/fts5.html
"""

import json
import os
import re
from collections.abc import Sequence

from photosearch.library.database import Database, SqlValue, to_path
from photosearch.library.schema import WORD_KINDS

MAX_WORDS = 32  # of a question; more are not asked for
_WORD = re.compile(r'"([^"]*)"|(\S+)')
# How to come from a hit `h`, a row of `words`, to photos, by the table that it is of.
_PHOTOS = {
    "photos": "SELECT h.word, h.doc >> 3 AS photo_id FROM hits h",
    "details": "SELECT h.word, h.doc >> 3 FROM hits h",
    "folders": "SELECT h.word, p.id FROM hits h CROSS JOIN photos p ON p.folder_id = h.doc >> 3",
    "roots": "SELECT h.word, p.id FROM hits h CROSS JOIN folders f ON f.root_id = h.doc >> 3 "
             "CROSS JOIN photos p ON p.folder_id = f.id",
    "places": "SELECT h.word, d.photo_id FROM hits h CROSS JOIN details d ON d.place_id = h.doc >> 3",
    "terms": "SELECT h.word, t.photo_id FROM hits h CROSS JOIN photo_terms t ON t.term_id = h.doc >> 3",
    "texts": "SELECT h.word, p.id FROM hits h CROSS JOIN photos p ON p.image_id = h.doc >> 3",
}  # fmt: skip


# How to read what `words` holds of photos, by the table that it is of: photo ids -> (photo id, column, text).
_TEXTS = {
    "photos": "SELECT p.id, 'name', p.name_words FROM json_each(?1) j CROSS JOIN photos p ON p.id = j.value",
    "details": " UNION ALL ".join(
        f"SELECT d.photo_id, '{column}', d.{source} FROM json_each(?1) j CROSS JOIN details d ON d.photo_id = j.value "
        f"WHERE d.{source} IS NOT NULL"
        for column, source in (("title", "title"), ("caption", "caption"), ("place", "location"))
    ),
    "folders": "SELECT p.id, 'folder', f.path FROM json_each(?1) j CROSS JOIN photos p ON p.id = j.value "
               "JOIN folders f ON f.id = p.folder_id",
    "roots": "SELECT p.id, 'root', r.path FROM json_each(?1) j CROSS JOIN photos p ON p.id = j.value "
             "JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id",
    "places": "SELECT d.photo_id, 'place', w.name || char(10) || w.wider || char(10) || w.division || char(10) || "
              "w.country FROM json_each(?1) j CROSS JOIN details d ON d.photo_id = j.value "
              "JOIN places w ON w.id = d.place_id",
    "terms": "SELECT t.photo_id, iif(n.kind = 'person', 'person', 'keyword'), n.name "
             "FROM json_each(?1) j CROSS JOIN photo_terms t ON t.photo_id = j.value JOIN terms n ON n.id = t.term_id",
    "texts": "SELECT p.id, 'text', x.text FROM json_each(?1) j CROSS JOIN photos p ON p.id = j.value "
             "JOIN texts x ON x.image_id = p.image_id WHERE x.text IS NOT NULL",
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
    every = " AND ".join(f"max(m.word = {n})" for n in range(len(words)))  # count(DISTINCT) takes twice as long
    sql = f"""
        WITH hits(word, doc) AS MATERIALIZED ({hits})
        SELECT m.photo_id AS photo_id, count(*) AS matches
        FROM (SELECT 0 AS word, 0 AS photo_id WHERE 0 UNION ALL {found}) m
        GROUP BY m.photo_id {f"HAVING {every}" if len(words) > 1 else ""}
    """
    return sql, [where + quote_word(word, prefix=prefix) for word in words]


def match_file_name(name: str) -> tuple[str, list[SqlValue]]:
    """SQL, and its values, for (photo_id) of the photos whose files have this name, with its extension or without.

    `words` holds no names that a camera gives. In each folder an index is looked up, in which letter case counts: by
    the name as it is, in capitals and in small letters.
    """
    stem = os.path.splitext(name)[0]
    stems = list(dict.fromkeys(form(each) for each in (stem, name) for form in (str, str.upper, str.lower)))
    sql = """
        SELECT p.id AS photo_id FROM json_each(?) j CROSS JOIN folders f CROSS JOIN photos p
        ON p.folder_id = f.id AND p.name >= j.value || '.' AND p.name < j.value || '/'
        WHERE lower(p.name) = lower(?) OR substr(lower(p.name), 1, length(?) + 1) = lower(?) || '.'
    """
    return sql, [json.dumps(stems), name, name, name]


def has_file(db: Database, name: str) -> bool:
    """Whether a photo on the disk has this name, with its extension or without."""
    sql, values = match_file_name(name)
    found = (
        f"SELECT 1 FROM ({sql}) m JOIN photos p ON p.id = m.photo_id WHERE p.absent IS NULL AND p.image_id IS NOT NULL"
    )
    return db.row(f"{found} LIMIT 1", values) is not None


def find_by_words(db: Database, text: str, *, prefix: bool = False, limit: int | None = None) -> list[tuple[int, int]]:
    """(photo id, number of matches) of the photos on the disk that have every word, most matches first.

    A match is a word in a folder, a name, a text, a place, a keyword, or the picture. No word: no photo.
    """
    sql, values = match_words(text, prefix=prefix)
    rows = db.rows(
        f"""
        SELECT m.photo_id, m.matches FROM ({sql}) m JOIN photos p ON p.id = m.photo_id
        WHERE p.absent IS NULL AND p.image_id IS NOT NULL ORDER BY 2 DESC, 1 LIMIT ?
        """,
        [*values, -1 if limit is None else limit],
    )
    return [(photo_id, matches) for photo_id, matches in rows]


def find_images_by_word(db: Database, forms: Sequence[str], limit: int) -> tuple[dict[int, None], bool]:
    """-> (up to `limit` images of photos on the disk that have a form of a word, whether those are all)."""
    found = " UNION ALL ".join(f"{_PHOTOS[table]} WHERE h.doc & 7 = {kind}" for kind, table in WORD_KINDS.items())
    rows = db.rows(
        f"""
        WITH hits(word, doc) AS MATERIALIZED (SELECT 0, rowid FROM words WHERE words MATCH ? LIMIT ?)
        SELECT p.image_id FROM (SELECT 0 AS word, 0 AS photo_id WHERE 0 UNION ALL {found}) m
        CROSS JOIN photos p ON p.id = m.photo_id WHERE p.absent IS NULL AND p.image_id IS NOT NULL LIMIT ?
        """,
        [" OR ".join(map(quote_word, forms)), limit + 1, limit + 1],
    )
    return dict.fromkeys(image_id for (image_id,) in rows[:limit]), len(rows) <= limit


def is_word_said(db: Database, word: str) -> bool:
    """Whether a folder, a name, a keyword or any other text of a file has a word; what was read in pictures may be
    misread, and does not count."""
    texts = next(kind for kind, table in WORD_KINDS.items() if table == "texts")
    sql = "SELECT 1 FROM words WHERE words MATCH ? AND rowid & 7 <> ? LIMIT 1"
    return db.row(sql, [quote_word(word), texts]) is not None


def read_texts(db: Database, photo_ids: Sequence[int]) -> dict[int, list[tuple[str, str]]]:
    """photo id -> what `words` holds of it, as (column, text): each folder of its path, its name, its keywords, ..."""
    texts: dict[int, list[tuple[str, str]]] = {photo_id: [] for photo_id in photo_ids}
    ids = json.dumps(list(texts))
    for sql in _TEXTS.values():
        for photo_id, column, text in db.rows(sql, [ids]):
            if column in ("folder", "root"):
                names = [name for name in re.split(r"[/\\]", to_path(text)) if name]
                texts[photo_id] += [("folder", name) for name in (names if column == "folder" else names[-1:])]
            elif text:
                parts = text.split("\n") if column == "place" else [text]
                texts[photo_id].append((column, ", ".join(dict.fromkeys(filter(None, parts)))))
    return texts
