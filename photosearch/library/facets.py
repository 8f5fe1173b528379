"""What photos have in common, counted: places, cameras, people, keywords, ratings, kinds, labels, folders, positions.

Of the photos of a filter that can be read. Names that few photos have are left out beyond a limit.
"""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from photosearch.library.database import Database, Row, SqlValue, to_path
from photosearch.library.details import DEGREE
from photosearch.library.filtering import IS, Filter, filter_by_details
from photosearch.library.matching import MAX_SCANNED, PhotoFilter, count_photos

Facet = Literal["place", "camera", "person", "keyword", "rating", "is", "label"]
MAX_VALUES, MAX_FOLDERS = 300, 5000
Box = tuple[float, float, float, float]  # west, south, east, north, in degrees; it does not cross 180 degrees
_PHOTOS = "photos p CROSS JOIN details d ON d.photo_id = p.id"
_TERMS = "photos p CROSS JOIN photo_terms t ON t.photo_id = p.id JOIN terms n ON n.id = t.term_id"
# A facet without a filter begins with its own index, with one at the photos that are left.
_ALL_PHOTOS = "details d JOIN photos p ON p.id = d.photo_id"
_ALL_TERMS = "terms n CROSS JOIN photo_terms t ON t.term_id = n.id JOIN photos p ON p.id = t.photo_id"


@dataclass(frozen=True, slots=True)
class Count:
    """How many photos have a value. group: of a place its country, else ''. value: as a filter in a question takes it.

    is_least: counting ended there.
    """

    value: str
    group: str
    photos: int
    is_least: bool = False


@dataclass(frozen=True, slots=True)
class FolderCount:
    """photos: in the folder and below it. own: in the folder itself."""

    path: str
    photos: int
    own: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Photos near each other. Degrees: of their middle, and of the box around them. image_id: of one of them."""

    photos: int
    latitude: float
    longitude: float
    south: float
    west: float
    north: float
    east: float
    image_id: int


def count_facet(db: Database, facet: Facet, only: PhotoFilter) -> list[Count]:
    """The values that photos of the filter have, those with the most photos first; ratings by stars."""
    if facet == "is":
        return db.recall(_count_kinds, only, MAX_SCANNED)
    sql, values = _FACETS[facet], list(only.values)
    for general, filtered in ((_ALL_PHOTOS, _PHOTOS), (_ALL_TERMS, _TERMS)):
        sql = sql.replace(general, filtered) if only.where else sql
    where = " AND ".join(["p.absent IS NULL", "p.image_id IS NOT NULL", *filter(None, [only.where])])
    rows = db.rows(f"{sql.replace('{where}', where)} LIMIT {MAX_VALUES}", values)
    return [Count(str(value), group or "", photos) for value, group, photos in rows if value]


_FACETS = {
    "place": f"""
        SELECT coalesce(nullif(w.name, ''), nullif(w.division, ''), w.country), w.country, sum(c.n)
        FROM (SELECT d.place_id AS place_id, count(*) AS n FROM {_ALL_PHOTOS}
            WHERE d.place_id IS NOT NULL AND {{where}} GROUP BY 1) c JOIN places w ON w.id = c.place_id
        GROUP BY 1, 2 ORDER BY 3 DESC, 1""",
    "camera": f"""
        SELECT iif(instr(lower(c.model), lower(c.make)) = 1, c.model, trim(c.make || ' ' || c.model)), '', sum(c.n)
        FROM (SELECT m.make AS make, m.model AS model, count(*) AS n FROM {_ALL_PHOTOS}
            JOIN cameras m ON m.id = d.camera_id WHERE {{where}} GROUP BY d.camera_id) c
        GROUP BY 1 ORDER BY 3 DESC, 1""",
    "person": f"""
        SELECT n.name, '', count(*) FROM {_ALL_TERMS} WHERE n.kind = 'person' AND {{where}}
        GROUP BY n.id ORDER BY 3 DESC, 1""",
    "keyword": f"""
        SELECT n.name, '', count(*) FROM {_ALL_TERMS} WHERE n.kind = 'keyword' AND {{where}}
        GROUP BY n.id ORDER BY 3 DESC, 1""",
    "rating": f"""
        SELECT printf('%g', d.rating), '', count(*) FROM {_ALL_PHOTOS} WHERE d.rating IS NOT NULL AND {{where}}
        GROUP BY d.rating ORDER BY d.rating DESC""",
    "label": """
        SELECT l.name, '', count(DISTINCT p.id) FROM photos p CROSS JOIN scores s ON s.image_id = p.image_id
        JOIN labels l ON l.id = s.label_id
        WHERE s.score >= coalesce(l.threshold, l.card_threshold) AND l.current AND {where}
        GROUP BY l.name ORDER BY 3 DESC, 1""",
}  # fmt: skip


def _count_kinds(db: Database, only: PhotoFilter, most: int) -> list[Count]:
    """Each kind of photo, up to `most`."""
    counts = []
    for kind in IS:
        of_kind = filter_by_details(db, [Filter("is", kind)], PhotoFilter(only.where, only.values, None))
        n = count_photos(db, most + 1, of_kind)
        counts.append(Count(kind, "", min(n, most), n > most))
    return [count for count in counts if count.photos]


def count_folders(db: Database, only: PhotoFilter) -> list[FolderCount]:
    """The folders with photos of the filter and those above them, sorted by path; of too many the deepest are left out.

    Without a filter, unreadable photos are counted as well: the library keeps that number.
    """
    if only.where:
        rows = db.rows(
            f"""
            SELECT r.path, f.path, c.n FROM (SELECT p.folder_id AS folder_id, count(*) AS n FROM photos p
                WHERE p.absent IS NULL AND p.image_id IS NOT NULL AND {only.where} GROUP BY 1) c
            JOIN folders f ON f.id = c.folder_id JOIN roots r ON r.id = f.root_id
            """,
            only.values,
        )
    else:
        rows = db.rows("SELECT r.path, f.path, f.photos FROM folders f JOIN roots r ON r.id = f.root_id")
    return _add_up(rows)


def _add_up(rows: Sequence[Row]) -> list[FolderCount]:
    own, below = Counter[str](), Counter[str]()
    for root, path, photos in rows:
        parts = list(filter(None, to_path(path).split("/"))) if photos else None
        for depth in range(len(parts) + 1) if parts is not None else ():
            below[os.path.join(to_path(root), *(parts or ())[:depth])] += photos
        if parts is not None:
            own[os.path.join(to_path(root), *parts)] += photos
    by_depth = sorted(below, key=lambda path: (path.count(os.sep), path))
    if len(by_depth) > MAX_FOLDERS:
        deepest = by_depth[MAX_FOLDERS].count(os.sep)
        by_depth = [path for path in by_depth if path.count(os.sep) < deepest] or by_depth[:MAX_FOLDERS]
    return [
        FolderCount(path, below[path], own[path]) for path in sorted(by_depth, key=lambda p: p.replace(os.sep, chr(0)))
    ]


def find_clusters(db: Database, only: PhotoFilter, box: Box, cells: int, limit: int) -> list[Cluster]:
    """Photos of the filter in a box, by the cells of a grid over it, those with the most photos first.

    cells: along the longer side of the box.
    """
    west, south, east, north = (round(degrees * DEGREE) for degrees in box)
    step = max(1, max(east - west, north - south) // cells)
    values: list[SqlValue] = [west, step, south, step, south, north, west, east]
    rows = db.rows(
        f"""
        SELECT count(*), avg(d.latitude), avg(d.longitude), min(d.latitude), min(d.longitude), max(d.latitude),
            max(d.longitude), p.image_id, max(p.id), (d.longitude - ?) / ? AS x, (d.latitude - ?) / ? AS y
        FROM details d JOIN photos p ON p.id = d.photo_id
        WHERE d.latitude BETWEEN ? AND ? AND d.longitude BETWEEN ? AND ?
            AND {" AND ".join(["p.absent IS NULL", "p.image_id IS NOT NULL", *filter(None, [only.where])])}
        GROUP BY x, y ORDER BY 1 DESC, x, y LIMIT ?
        """,
        [*values, *only.values, limit],
    )  # a bare column takes its value from the row that max() is of: https://www.sqlite.org/lang_select.html
    return [Cluster(row[0], *_to_degrees(row[1:7]), row[7]) for row in rows]


def _to_degrees(millionths: Sequence[float]) -> tuple[float, float, float, float, float, float]:
    latitude, longitude, south, west, north, east = (number / DEGREE for number in millionths)
    return latitude, longitude, south, west, north, east
