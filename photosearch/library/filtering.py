"""Filters on what is known of photos besides their pixels, as SQL: where, with what, who, which words.

A filter of a text holds where the text is in the value of a photo, letter case and accents aside: a part of a camera's
or a folder's name, whole words of a keyword or a name of a person, the whole name of a place.
"""

import functools
import json
import math
import operator
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from photosearch.library.albums import list_album_names
from photosearch.library.database import Database, Row, SqlValue
from photosearch.library.folder_dates import match_folders
from photosearch.library.folders import list_folder_names
from photosearch.library.id_sets import is_in, read_id_set, to_digits
from photosearch.library.matching import (
    BETWEEN,
    MAX_MEASURED,
    PhotoFilter,
    match_id_set,
    measure_share,
)  # fmt: skip
from photosearch.library.words import match_file_name, match_words
from photosearch.photos.walk import RAW_EXTENSIONS

Kind = Literal["in", "near", "taken", "camera", "lens", "keyword", "person", "rating", "folder", "text", "is", "album"]
KM_PER_DEGREE = 111.195  # of latitude
TEXT_COLUMNS = ("title", "caption", "keyword", "person", "name")
_VIDEOS = ("mp4", "mov", "avi", "mkv", "m4v", "webm", "3gp")
NAMES = {  # kind -> patterns of file names, as LIKE has them
    "raw": tuple(f"%{ending}" for ending in RAW_EXTENSIONS),
    "screenshot": ("screenshot%", "screen shot%", "screen_shot%", "bildschirmfoto%", "capture d%",
                   "captura de pantalla%"),
    # of VLC, mpv, Samsung and Google Photos, and a video's name with more behind it
    "video-still": ("vlcsnap%", "mpv-shot%", "videocapture%", "video_capture%", "video still%", "video-still%",
                    "videostill%", "%-exported-%", "%_exported_%",
                    *(f"%.{name}{end}%" for name in _VIDEOS for end in "_.-")),
}  # fmt: skip
MIN_FOLDER_PLACE = 3  # letters; two may be a country's code or any word
PANORAMA = 2  # times as wide as high
_SHAPES = {
    "portrait": "i.height > i.width", "landscape": "i.width > i.height", "square": "i.width = i.height",
    "panorama": f"i.width >= {PANORAMA} * i.height",
}  # fmt: skip
IS = (*_SHAPES, *NAMES, "gps")
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
class AllOf:
    """Filters that must all hold: (taken:2019 and camera:Canon)."""

    parts: tuple["FilterTree", ...]

    def __str__(self) -> str:
        return f"({' and '.join(map(str, self.parts))})"


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Filters of which one must hold: (in:Portugal or in:Spain)."""

    parts: tuple["FilterTree", ...]

    def __str__(self) -> str:
        return f"({' or '.join(map(str, self.parts))})"


FilterTree = Filter | AllOf | AnyOf


def negate(tree: FilterTree) -> FilterTree:
    """What holds where a tree does not: -(a or b) is -a and -b."""
    match tree:
        case Filter():
            return replace(tree, wanted=not tree.wanted)
        case AllOf(parts):
            return AnyOf(tuple(map(negate, parts)))
        case AnyOf(parts):
            return AllOf(tuple(map(negate, parts)))


@dataclass(frozen=True, slots=True)
class KnownNames:
    """What photos of a library are told apart by, folded. places: towns, cities, divisions and countries.

    towns: towns and cities with their countries' codes. cameras: the words of makes and models, all in one text.
    people: whole names; parts: their single words. albums: whole names.
    """

    places: frozenset[str] = frozenset()
    towns: frozenset[tuple[str, str]] = frozenset()
    cameras: str = ""
    people: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    albums: frozenset[str] = frozenset()

    def has_place(self, name: str) -> bool:
        """Whether photos are at a place of this other name: UK, Lisboa."""
        if not self.places:
            return False
        from photosearch.metadata.places import open_places  # numpy and the table

        places = open_places()
        country = places.find_country(name)
        if country is not None and fold_text(country) in self.places:
            return True
        return any((fold_text(town.name), town.country_code) in self.towns for town in places.find(name))

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
    places = db.rows("SELECT name, wider, division, country, country_code FROM places")
    cameras = db.rows("SELECT DISTINCT make || ' ' || model FROM cameras")
    people = db.rows("SELECT name FROM terms WHERE kind = 'person'")
    names = frozenset(fold_text(name) for (name,) in people)
    return KnownNames(
        frozenset(fold_text(name) for *names, _ in places for name in names if name),
        frozenset((fold_text(town), code) for *names, code in places for town in names[:2] if town),
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


@dataclass(frozen=True, slots=True)
class _Source:
    """The photos that a filter holds for: SQL that selects their ids, and its values.

    key: the column that is selected, where a condition on it can be added; empty: none, since all are found at once.
    """

    sql: str
    values: tuple[SqlValue, ...]
    key: str = ""

    def test(self) -> str:
        """A condition on photos `p`, by which each is looked up, without a list of all."""
        return f"p.id IN ({self.sql} AND {self.key} = p.id)"


def filter_by_details(db: Database, filters: Sequence[FilterTree], only: PhotoFilter) -> PhotoFilter:
    """The photos of `only` that meet all filters. photos: the number of those that the strictest filter leaves.

    The photos of filters of few are read, and those that they have in common are one list; so are the photos of words,
    which no photo can be looked up in. A filter of many is a test of each photo.
    """
    if not filters:
        return only
    lists, tested, counts = list[int](), list[FilterTree](), list[int]()
    for each in filters:
        source = db.recall(_find_source, each) if isinstance(each, Filter) and each.wanted else None
        n = None if source is None or not source.key else db.recall(_count_source, source)
        if source is not None and (n is None or n <= MAX_MEASURED):
            lists.append(_read_ids(db, source))
        else:
            tested.append(each)
            counts += [] if n is None else [n]
    if lists:
        only = match_id_set(db, functools.reduce(operator.and_, lists)).join(only)
    for each in tested:
        only = only.join(PhotoFilter(*_join_conditions(db, each), None))
    photos = min([*counts, *([] if only.photos is None else [only.photos])], default=None)
    return replace(only, photos=photos, share=only.share * measure_share(db, counts))


def _count_source(db: Database, source: _Source) -> int:
    """Up to MAX_MEASURED + 1."""
    return int(db.one(f"SELECT count(*) FROM ({source.sql} LIMIT {MAX_MEASURED + 1})", source.values)[0])


def _read_ids(db: Database, source: _Source) -> int:
    return db.recall(read_id_set, source.sql, source.values)


def has_photos(db: Database, only: PhotoFilter) -> bool:
    """Whether any photo on the disk meets a filter."""
    where = " AND ".join(["p.absent IS NULL", *filter(None, [only.where])])
    return db.row(f"SELECT 1 FROM photos p WHERE {where} LIMIT 1", only.values) is not None


def _join_conditions(db: Database, tree: FilterTree) -> tuple[str, tuple[SqlValue, ...]]:
    """-> (a condition on photos `p`, its values)."""
    if isinstance(tree, Filter):
        source = db.recall(_find_source, tree)
        if source is None:
            condition, values = _make_condition(db, tree)
        elif source.key:
            condition, values = source.test(), source.values
        else:
            condition, values = is_in("p.id"), (to_digits(_read_ids(db, source)),)
        return (condition if tree.wanted else f"NOT ({condition})"), values
    each = [_join_conditions(db, part) for part in tree.parts]
    joint = " AND " if isinstance(tree, AllOf) else " OR "
    return f"({joint.join(condition for condition, _ in each)})", tuple(value for _, more in each for value in more)


def _make_condition(db: Database, each: Filter) -> tuple[str, tuple[SqlValue, ...]]:
    """-> (a condition on photos `p` of what is known without details, its values)."""
    if each.kind == "taken":
        since, until = each.days[0] or "", (each.days[1] or "") + "~"
        return BETWEEN, (since, until, db.recall(match_folders, since, until))
    if each.value in _SHAPES:
        return f"p.image_id IN (SELECT i.id FROM images i WHERE i.id = p.image_id AND {_SHAPES[each.value]})", ()
    patterns = NAMES[each.value]
    return f"({' OR '.join(['CAST(p.name AS TEXT) LIKE ?'] * len(patterns))})", patterns  # whatever its case


def _find_source(db: Database, each: Filter) -> _Source | None:
    """The photos that a filter holds for; None where it is a condition on the photo's own row."""
    details = "SELECT d.photo_id FROM details d WHERE"
    match each.kind:
        case "in":
            return _be_in(db, each.value)
        case "near":
            assert each.circle is not None
            return _be_near(each.circle)
        case "camera" | "lens":
            names = "make || ' ' || model" if each.kind == "camera" else "lens"
            rows = db.rows(f"SELECT id, {names} FROM cameras")
            ids = [i for i, name in rows if fold_text(each.value) in fold_text(name)]
            return _Source(f"{details} d.camera_id IN (SELECT value FROM json_each(?))", (_list(ids),), "d.photo_id")
        case "keyword" | "person":
            kinds = ("person", "person") if each.kind == "person" else ("keyword", "path")
            rows = db.rows("SELECT id, name FROM terms WHERE kind IN (?, ?)", kinds)
            ids = [i for i, name in rows if has_words(name, each.value)]
            sql = "SELECT t.photo_id FROM photo_terms t WHERE t.term_id IN (SELECT value FROM json_each(?))"
            return _Source(sql, (_list(ids),), "t.photo_id")
        case "rating":
            return _Source(f"{details} d.rating BETWEEN ? AND ?", each.stars, "d.photo_id")
        case "folder":
            sql = "SELECT f.id FROM photos f WHERE f.folder_id IN (SELECT value FROM json_each(?))"
            return _Source(sql, (_list(_find_folders(db, each.value)),), "f.id")
        case "text":
            sql, values = match_words(each.value, columns=TEXT_COLUMNS)
            if not any(c.isdigit() or c == "." for c in each.value):
                return _Source(f"SELECT photo_id FROM ({sql})", tuple(values))
            named, more = match_file_name(each.value)  # a name that a camera gives is in no index of words
            return _Source(f"SELECT photo_id FROM ({sql}) UNION SELECT photo_id FROM ({named})", (*values, *more))
        case "is" if each.value == "gps":
            return _Source(f"{details} d.latitude IS NOT NULL", (), "d.photo_id")
        case "album":
            images, value = _name_album_images(each)
            return _Source(f"SELECT a.id FROM photos a WHERE a.image_id IN ({images})", (value,), "a.id")
    return None


def _name_album_images(each: Filter) -> tuple[str, SqlValue]:
    """The images of an album, or those that its saved search found."""
    if each.images is not None:
        return "SELECT value FROM json_each(?)", _list(each.images)
    return "SELECT image_id FROM album_images WHERE album_id = ?", each.album


def _list(ids: Iterable[int]) -> str:
    return json.dumps(list(ids))


def has_words(name: str, text: str) -> bool:
    """Whether a name has these words side by side."""
    return f" {_split(text)} " in f" {_split(name)} "


def _split(text: str) -> str:
    return re.sub(r"(?:[^\w']|_)+", " ", fold_text(text)).strip()


def _be_in(db: Database, value: str) -> _Source:
    """At a place of this name, by position or as the file says; where neither says any, as the folder is called."""
    folded = fold_text(value)
    rows = db.rows("SELECT id, name, wider, division, country, country_code FROM places")
    ids = [i for i, *names in rows if folded in map(fold_text, names)]
    hits, values = match_words(f'"{value}"', columns=("place",), tables=("details",))
    locations = f"SELECT DISTINCT location FROM details WHERE photo_id IN (SELECT photo_id FROM ({hits}))"
    said = [text for (text,) in db.rows(locations, values) if folded in map(fold_text, (text or "").split(","))]
    if not ids and not said:
        ids = _find_by_other_name(value, rows)
    parts: list[tuple[str, tuple[SqlValue, ...]]] = [
        ("SELECT d.photo_id FROM details d WHERE d.place_id IN (SELECT value FROM json_each(?))", (_list(ids),))
    ]
    if said:
        inside = f"""
            SELECT photo_id FROM details WHERE photo_id IN (SELECT photo_id FROM ({hits}))
            AND location IN (SELECT value FROM json_each(?))
        """
        parts.append((inside, (*values, json.dumps(said))))
    if len(folded) >= MIN_FOLDER_PLACE and (folders := _find_folders(db, value, whole_words=True)):
        unplaced = """
            SELECT f.id FROM photos f WHERE f.folder_id IN (SELECT value FROM json_each(?)) AND NOT EXISTS (
                SELECT 1 FROM details d WHERE d.photo_id = f.id AND (d.place_id IS NOT NULL OR d.location IS NOT NULL)
            )
        """
        parts.append((unplaced, (_list(folders),)))
    sql, together = " UNION ".join(part for part, _ in parts), tuple(value for _, some in parts for value in some)
    return _Source(sql, together, "" if len(parts) > 1 else "d.photo_id")


def _find_by_other_name(value: str, rows: Sequence[Row]) -> list[int]:
    """Places by another name of a country or a large city: UK, Lisboa."""
    from photosearch.metadata.places import open_places  # numpy and the table

    country = open_places().find_country(value)
    towns = {(fold_text(town.name), town.country_code) for town in open_places().find(value)}
    return [
        i for i, name, wider, _, its_country, code in rows
        if (country and its_country == country) or {(fold_text(name), code), (fold_text(wider), code)} & towns
    ]  # fmt: skip


def _be_near(circle: Circle) -> _Source:
    """Within a circle of up to 500 km, by the haversine's series: some metres wrong in a hundred kilometres.

    The cosine of a photo's latitude is developed around the centre's, since not every SQLite has one.
    """
    from photosearch.library.details import DEGREE  # which other filters do without

    reach = circle.km / KM_PER_DEGREE
    phi = math.radians(circle.latitude)
    north, east = "(d.latitude / 1e6 - ?)", "(abs(d.longitude / 1e6 - ?))"
    turn = f"min({east}, 360 - {east})"
    delta = f"({north} * {math.radians(1)!r})"
    cosine = f"({math.cos(phi)!r} - {math.sin(phi)!r} * {delta} - {math.cos(phi) / 2!r} * {delta} * {delta})"
    sql = f"""
        SELECT d.photo_id FROM details d WHERE d.latitude BETWEEN ? AND ?
        AND {north} * {north} + {math.cos(phi)!r} * {cosine} * {turn} * {turn} <= ?
    """
    lowest, highest = ((circle.latitude + sign * reach) * DEGREE for sign in (-1, 1))
    lat, lon = circle.latitude, circle.longitude
    values = (lowest, highest, lat, lat, lat, lat, lat, lon, lon, lon, lon, reach * reach)
    return _Source(sql, values, "d.photo_id")


def _find_folders(db: Database, value: str, *, whole_words: bool = False) -> list[int]:
    """Folders with such a name, or these words in it, and those below them."""
    folded = fold_text(value)

    @functools.cache
    def is_meant(name: str) -> bool:
        return has_words(name, value) if whole_words else folded in fold_text(name)

    return [i for i, names in list_folder_names(db) if any(map(is_meant, names))]
