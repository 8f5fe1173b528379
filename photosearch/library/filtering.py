"""Filters on what is known of photos besides their pixels, as SQL: where, with what, who, which words.

A filter of a text holds where the text is in the value of a photo, letter case and accents aside: a part of a camera's
or a folder's name, whole words of a keyword or a name of a person, the whole name of a place.
"""

import functools
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from photosearch.library.albums import list_album_names
from photosearch.library.database import Database, Row, SqlValue, to_path
from photosearch.library.matching import LOCAL_DATE, MAX_SCANNED, PhotoFilter
from photosearch.library.words import match_words
from photosearch.photos.walk import RAW_EXTENSIONS

Kind = Literal["in", "near", "taken", "camera", "lens", "keyword", "person", "rating", "folder", "text", "is", "album"]
KM_PER_DEGREE = 111.195  # of latitude
TEXT_COLUMNS = ("title", "caption", "keyword", "person", "name")
SCREENSHOT_NAMES = ("screenshot", "screen shot", "screen_shot", "bildschirmfoto", "capture d", "captura de pantalla")
PANORAMA = 2  # times as wide as high
_SHAPES = {
    "portrait": "i.height > i.width", "landscape": "i.width > i.height", "square": "i.width = i.height",
    "panorama": f"i.width >= {PANORAMA} * i.height",
}  # fmt: skip
IS = (*_SHAPES, "raw", "screenshot", "gps")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "ı": "i", "-": " ", "’": "'"})


@dataclass(frozen=True, slots=True)
class Circle:
    """Degrees, north and east positive."""

    latitude: float
    longitude: float
    km: float


@dataclass(frozen=True, slots=True)
class Filter:
    """What a photo must be, or must not be where it is not wanted.

    value: as it was typed. circle: of near. days: of taken, ISO dates, inclusive; None: open. stars: of rating,
    inclusive. album: an album's id; images: what a saved search finds, in place of that.
    """

    kind: Kind
    value: str
    wanted: bool = True
    circle: Circle | None = None
    days: tuple[str | None, str | None] = (None, None)
    stars: tuple[float, float] = (-1, 5)
    album: int | None = None
    images: tuple[int, ...] | None = None

    def __str__(self) -> str:
        quote = '"' if re.search(r"[\s()']", self.value) else ""
        return f"{'' if self.wanted else '-'}{self.kind}:{quote}{self.value}{quote}"


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What photos of a library are told apart by, folded. places: towns, cities, divisions and countries.

    cameras: the words of makes and models, all in one text. people: whole names; parts: their single words. albums:
    whole names.
    """

    places: frozenset[str] = frozenset()
    cameras: str = ""
    people: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    albums: frozenset[str] = frozenset()

    def has_camera(self, words: str) -> bool:
        """Whether a camera's make and model have these words."""
        text = _split(words)
        return bool(text) and f" {text} " in self.cameras

    def has_person(self, words: str) -> bool:
        """Whether a person's name is this, or a single word of it."""
        return words in self.people or words in self.parts


NO_NAMES = KnownNames()


def read_known_names(db: Database) -> KnownNames:
    """The names of the places, cameras and people of a library's photos."""
    places = (name for names in db.rows("SELECT name, wider, division, country FROM places") for name in names if name)
    cameras = db.rows("SELECT DISTINCT make || ' ' || model FROM cameras")
    people = db.rows("SELECT name FROM terms WHERE kind = 'person'")
    names = frozenset(fold_text(name) for (name,) in people)
    return KnownNames(
        frozenset(map(fold_text, places)),
        "|".join(f" {_split(name)} " for (name,) in cameras),
        names,
        frozenset(part for name in names for part in name.split()),
        frozenset(map(fold_text, list_album_names(db))),
    )


@functools.lru_cache(maxsize=50_000)
def fold_text(text: str) -> str:
    """A text as it is compared: lower case, no accents, one space between words."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).split())


def filter_by_details(db: Database, filters: Sequence[Filter], only: PhotoFilter) -> PhotoFilter:
    """The photos of `only` that meet all filters."""
    if not filters:
        return only
    where, values = [only.where] if only.where else [], list(only.values)
    for each in filters:
        condition, more = _make_condition(db, each)
        where.append(condition if each.wanted else f"NOT ({condition})")
        values += more
    photos = only.photos
    if photos is None or photos > MAX_SCANNED:
        sql = f"SELECT 1 FROM photos p WHERE {' AND '.join(where)} LIMIT {MAX_SCANNED + 1}"
        photos = int(db.one(f"SELECT count(*) FROM ({sql})", values)[0])
    return PhotoFilter(" AND ".join(where), tuple(values), photos)


def _make_condition(db: Database, each: Filter) -> tuple[str, list[SqlValue]]:
    """-> (a condition on photos `p`, its values)."""
    match each.kind:
        case "in":
            return _be_in(db, each.value)
        case "near":
            assert each.circle is not None
            return _be_near(each.circle)
        case "taken":
            since, until = each.days
            return f"coalesce({LOCAL_DATE} BETWEEN ? AND ?, 0)", [since or "", (until or "") + "~"]
        case "camera" | "lens":
            names = "make || ' ' || model" if each.kind == "camera" else "lens"
            ids = [
                i for i, name in db.rows(f"SELECT id, {names} FROM cameras") if fold_text(each.value) in fold_text(name)
            ]
            return "p.id IN (SELECT photo_id FROM details WHERE camera_id IN (SELECT value FROM json_each(?)))", [
                _list(ids)
            ]
        case "keyword" | "person":
            kinds = ("person", "person") if each.kind == "person" else ("keyword", "path")
            ids = [i for i, name in db.rows("SELECT id, name FROM terms WHERE kind IN (?, ?)", kinds)
                   if has_words(name, each.value)]  # fmt: skip
            return "p.id IN (SELECT photo_id FROM photo_terms WHERE term_id IN (SELECT value FROM json_each(?)))", [
                _list(ids)
            ]
        case "rating":
            return "p.id IN (SELECT photo_id FROM details WHERE rating BETWEEN ? AND ?)", list(each.stars)
        case "folder":
            return "p.folder_id IN (SELECT value FROM json_each(?))", [_list(_find_folders(db, each.value))]
        case "text":
            sql, values = match_words(each.value, columns=TEXT_COLUMNS)
            return f"p.id IN (SELECT photo_id FROM ({sql}))", values
        case "is":
            return _be(each.value)
        case "album" if each.images is not None:
            return "p.image_id IN (SELECT value FROM json_each(?))", [_list(each.images)]
        case "album":
            return "p.image_id IN (SELECT image_id FROM album_images WHERE album_id = ?)", [each.album]


def _list(ids: Iterable[int]) -> str:
    return json.dumps(list(ids))


def has_words(name: str, text: str) -> bool:
    """Whether a name has these words side by side."""
    return f" {_split(text)} " in f" {_split(name)} "


def _split(text: str) -> str:
    return re.sub(r"[^\w']+", " ", fold_text(text)).strip()


def _be_in(db: Database, value: str) -> tuple[str, list[SqlValue]]:
    """At a place of this name, by position or as the file says."""
    folded = fold_text(value)
    rows = db.rows("SELECT id, name, wider, division, country, country_code FROM places")
    ids = [i for i, *names in rows if folded in map(fold_text, names)]
    hits, values = match_words(f'"{value}"', columns=("place",), tables=("details",))
    locations = f"SELECT DISTINCT location FROM details WHERE photo_id IN (SELECT photo_id FROM ({hits}))"
    said = [text for (text,) in db.rows(locations, values) if folded in map(fold_text, (text or "").split(","))]
    if not ids and not said:
        ids = _find_by_other_name(value, rows)
    condition = "p.id IN (SELECT photo_id FROM details WHERE place_id IN (SELECT value FROM json_each(?)))"
    if not said:
        return condition, [_list(ids)]
    inside = f"""
        p.id IN (SELECT photo_id FROM details WHERE photo_id IN (SELECT photo_id FROM ({hits}))
            AND location IN (SELECT value FROM json_each(?)))
    """
    return f"({condition} OR {inside})", [_list(ids), *values, json.dumps(said)]


def _find_by_other_name(value: str, rows: Sequence[Row]) -> list[int]:
    """Places by another name of a country or a large city: UK, Lisboa."""
    from photosearch.metadata.places import open_places  # numpy and the table

    country = open_places().find_country(value)
    towns = {(fold_text(town.name), town.country_code) for town in open_places().find(value)}
    return [
        i for i, name, wider, _, its_country, code in rows
        if (country and its_country == country) or {(fold_text(name), code), (fold_text(wider), code)} & towns
    ]  # fmt: skip


def _be_near(circle: Circle) -> tuple[str, list[SqlValue]]:
    """Within a circle of up to 500 km, by the haversine's series: some metres wrong in a hundred kilometres.

    The cosine of a photo's latitude is developed around the centre's, since not every SQLite has one.
    """
    from photosearch.library.details import DEGREE  # numpy, which other filters do without

    reach = circle.km / KM_PER_DEGREE
    phi = math.radians(circle.latitude)
    north, east = "(d.latitude / 1e6 - ?)", "(abs(d.longitude / 1e6 - ?))"
    turn = f"min({east}, 360 - {east})"
    delta = f"({north} * {math.radians(1)!r})"
    cosine = f"({math.cos(phi)!r} - {math.sin(phi)!r} * {delta} - {math.cos(phi) / 2!r} * {delta} * {delta})"
    sql = f"""
        p.id IN (SELECT d.photo_id FROM details d WHERE d.latitude BETWEEN ? AND ?
        AND {north} * {north} + {math.cos(phi)!r} * {cosine} * {turn} * {turn} <= ?)
    """
    lowest, highest = ((circle.latitude + sign * reach) * DEGREE for sign in (-1, 1))
    lat, lon = circle.latitude, circle.longitude
    return sql, [lowest, highest, lat, lat, lat, lat, lat, lon, lon, lon, lon, reach * reach]


def _find_folders(db: Database, value: str) -> list[int]:
    """Folders with such a name, and those below them. Of a root's path the last name counts."""
    folded = fold_text(value)
    rows = db.rows("SELECT f.id, r.path, f.path FROM folders f JOIN roots r ON r.id = f.root_id")
    names = (
        (i, [re.split(r"[/\\]", to_path(root).rstrip("/\\"))[-1], *to_path(path).split("/")]) for i, root, path in rows
    )
    return [i for i, path in names if any(folded in fold_text(name) for name in path)]


def _be(value: str) -> tuple[str, list[SqlValue]]:
    if value in _SHAPES:
        return f"p.image_id IN (SELECT i.id FROM images i WHERE i.id = p.image_id AND {_SHAPES[value]})", []
    if value == "gps":
        return "p.id IN (SELECT photo_id FROM details WHERE latitude IS NOT NULL)", []
    name = "lower(CAST(p.name AS TEXT))"
    patterns = [f"%{end}" for end in RAW_EXTENSIONS] if value == "raw" else [f"{each}%" for each in SCREENSHOT_NAMES]
    return f"({' OR '.join([f'{name} LIKE ?'] * len(patterns))})", list(patterns)
