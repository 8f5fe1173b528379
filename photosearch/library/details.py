"""What the files of photos say of them besides their pixels: where, with what, who, and in which words.

By photo, not by image: equal copies may have side-cars of their own. Texts come from hostile files; the decoder's child
has bounded them (metadata/record.py). Places and cameras are tables of their own, since photos share them.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from photosearch.library.database import Database, SqlValue
from photosearch.metadata.dates import Taken
from photosearch.metadata.record import PhotoMetadata

if TYPE_CHECKING:
    from photosearch.metadata.places import Place

DEGREE = 1_000_000  # a position is stored in millionths: 11 cm
TERMS = {"keyword": "keywords", "path": "paths", "person": "people"}  # kind of a term -> the field of a record

_SELECT = """
    SELECT d.photo_id, d.latitude, d.longitude, w.name, w.division, w.country_code, w.country, w.wider,
        c.make, c.model, c.lens, d.rating, d.title, d.caption, d.location, p.taken, p.taken_from
    FROM json_each(?) j CROSS JOIN details d ON d.photo_id = j.value JOIN photos p ON p.id = d.photo_id
    LEFT JOIN places w ON w.id = d.place_id LEFT JOIN cameras c ON c.id = d.camera_id
"""


@dataclass(frozen=True, slots=True)
class FileDetails:
    """What a photo's file and its side-cars say. None, or empty, where they say nothing.

    latitude, longitude: degrees, north and east positive. place: the town of the position, else the place as written;
    wider: the city around it. location: the place as written, where there is a position as well. rating: 1 to 5, -1 for
    rejected. taken: local time, YYYY-MM-DDTHH:MM:SS, and its source, where they differ from the image's.
    """

    latitude: float | None = None
    longitude: float | None = None
    place: str | None = None
    division: str | None = None
    country_code: str | None = None
    country: str | None = None
    wider: str | None = None
    make: str | None = None
    model: str | None = None
    lens: str | None = None
    rating: float | None = None
    title: str | None = None
    caption: str | None = None
    location: str | None = None
    taken: str | None = None
    taken_from: str | None = None
    keywords: Sequence[str] = field(default=())
    people: Sequence[str] = field(default=())

    @property
    def camera(self) -> str | None:
        """Make and model, the make once: 'Canon EOS 5D', 'Apple iPhone 12'."""
        make, model = self.make or "", self.model or ""
        if model.casefold().startswith(make.casefold().partition(" ")[0]):
            return model or None
        return f"{make} {model}".strip() or None

    @property
    def where(self) -> str | None:
        """'Porto, Portugal'."""
        return ", ".join(dict.fromkeys(filter(None, (self.place, self.division, self.country)))) or None

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "where": self.where, "camera": self.camera}


def put_details(db: Database, photo_id: int, found: PhotoMetadata, sidecars: int) -> None:
    """Store what a photo's file says, in the place of what it said before. sidecars: a stamp of its side-cars."""
    delete_details(db, [photo_id])
    position, place, location = found.position, _find_place(found), _join_location(found)
    place_id = None
    if place is not None:
        values = [place.name, place.division, place.country_code, place.country, place.wider]
        place_id = _find_id(db, "places", ("name", "division", "country_code", "country", "wider"), values)
    camera_id = None
    if found.make or found.model or found.lens:
        names = [found.make or "", found.model or "", found.lens or ""]
        camera_id = _find_id(db, "cameras", ("make", "model", "lens"), names)
    db.write(
        "INSERT INTO details VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            photo_id, sidecars, None if position is None else round(position.latitude * DEGREE),
            None if position is None else round(position.longitude * DEGREE), place_id, camera_id, found.rating,
            found.title, found.caption, None if position is None else location,
        ],
    )  # fmt: skip
    terms = [(kind, name) for kind, names in TERMS.items() for name in getattr(found, names)]
    for kind, name in terms:
        term_id = _find_id(db, "terms", ("kind", "name"), [kind, name])
        db.write("INSERT OR IGNORE INTO photo_terms VALUES (?, ?)", [term_id, photo_id])


def put_dates(db: Database, photo_id: int, own: Taken | None, of_file: Taken | None, name_date: str | None) -> None:
    """Store when a photo was taken: by its content alone, and by its file with its side-cars.

    name_date: the date in its name, which counts where neither has one.
    """
    date, source = (None, None) if own is None else (own.local, own.source)
    db.write(
        """
        UPDATE images SET taken = ?, taken_from = ? WHERE id = (SELECT image_id FROM photos WHERE id = ?)
            AND (taken IS NOT ? OR taken_from IS NOT ?)
        """,
        [date, source, photo_id, date, source],
    )
    differs = of_file is not None and (own is None or (of_file.local, of_file.source) != (own.local, own.source))
    values = [of_file.local, of_file.source] if of_file is not None and differs else [None, None]
    name_date = name_date if own is None else None
    db.write(
        """
        UPDATE photos SET taken = ?, taken_from = ?, name_date = ?
        WHERE id = ? AND (taken IS NOT ? OR taken_from IS NOT ? OR name_date IS NOT ?)
        """,
        [*values, name_date, photo_id, *values, name_date],
    )


def delete_details(db: Database, photo_ids: Iterable[int]) -> None:
    """Forget what files say; their photos, and their dates, stay."""
    ids = [(photo_id,) for photo_id in photo_ids]
    for table in ("details", "photo_terms"):
        db.write_many(f"DELETE FROM {table} WHERE photo_id = ?", ids)


def delete_unused(db: Database) -> None:
    """Delete the places, cameras and terms that no photo has any more."""
    for table, users, key in (("places", "details", "place_id"), ("cameras", "details", "camera_id"),
                              ("terms", "photo_terms", "term_id")):  # fmt: skip
        db.write(f"DELETE FROM {table} WHERE NOT EXISTS (SELECT 1 FROM {users} WHERE {key} = {table}.id)")


def read_file_details(db: Database, photo_ids: Sequence[int]) -> dict[int, FileDetails]:
    """photo id -> what its file says, for those of these photos that were read."""
    ids = json.dumps(list(photo_ids))
    names: dict[tuple[int, str], list[str]] = {}
    for photo_id, kind, name in db.rows(
        """
        SELECT t.photo_id, n.kind, n.name FROM json_each(?) j CROSS JOIN photo_terms t ON t.photo_id = j.value
        JOIN terms n ON n.id = t.term_id ORDER BY n.name COLLATE NOCASE, n.name
        """,
        [ids],
    ):
        names.setdefault((photo_id, kind), []).append(name)
    found = {}
    for photo_id, north, east, *rest in db.rows(_SELECT, [ids]):
        position = (None, None) if north is None else (north / DEGREE, east / DEGREE)
        values: list[Any] = [None if value == "" else value for value in rest]
        lists = (tuple(names.get((photo_id, kind), ())) for kind in ("keyword", "person"))
        found[photo_id] = FileDetails(*position, *values, *lists)
    return found


@dataclass(frozen=True, slots=True)
class DetailCounts:
    """Photos on the disk whose files give a position, name a person, have a title or a caption."""

    position: int
    people: int
    text: int


def count_details(db: Database) -> DetailCounts:
    """From indexes alone where no photo is absent."""
    (absent,) = db.one("SELECT coalesce(sum(removed + excluded), 0) FROM folders")
    present = "AND photo_id IN (SELECT id FROM photos WHERE absent IS NULL)" if absent else ""
    sources = (
        "count(*) FROM details WHERE latitude IS NOT NULL",
        "count(DISTINCT photo_id) FROM photo_terms WHERE term_id IN (SELECT id FROM terms WHERE kind = 'person')",
        "count(*) FROM details WHERE (title IS NOT NULL OR caption IS NOT NULL)",
    )
    return DetailCounts(*(int(db.one(f"SELECT {source} {present}")[0]) for source in sources))


def _find_place(found: PhotoMetadata) -> "Place | None":
    """The town of a position; else the place as it is written, without a code or a city around it."""
    from photosearch.metadata.places import Place, locate_photo, open_places  # numpy, which reading does without

    if found.position is not None:
        return locate_photo(found.position.latitude, found.position.longitude)
    name = found.city or found.state or ""
    if not (name or found.country):
        return None
    country = found.country or ""
    country = (open_places().find_country(country) if country else None) or country
    return Place(name, (found.state or "") if found.city else "", "", country, 0, 0.0, 0.0)


def _join_location(found: PhotoMetadata) -> str | None:
    return ", ".join(filter(None, (found.city, found.state, found.country))) or None


def _find_id(db: Database, table: str, columns: Sequence[str], values: Sequence[SqlValue]) -> int:
    """The id of the row with these values, inserted if it is new."""
    where = " AND ".join(f"{column} = ?" for column in columns)
    row = db.row(f"SELECT id FROM {table} WHERE {where}", values)
    names, places = ", ".join(columns), ", ".join("?" * len(columns))
    return int((row or db.one(f"INSERT INTO {table}({names}) VALUES ({places}) RETURNING id", values))[0])
