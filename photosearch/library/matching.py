"""The photos that match a query of labels, best first: the query's tree as SQL, by the cheapest of four plans.

query.py defines, in plain Python, what a query means. A photo that was not scored for all labels of the query never
matches: unknown is not "no". A scored photo without a row for a label has the score 0 for it.

All plans give the same rows, which a property test checks:
- `_read_in_order`: a single label comes sorted from its index, and reading ends at the limit.
- `_read_some`: the filter leaves few photos, so the query is evaluated on each of them.
- `_read_tops`: evaluated on the images with the best scores of each label only.
- `_read_all`: evaluated on every image that can match.
"""

import functools
import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from photosearch import query
from photosearch.library.database import Database, Row, SqlValue, join
from photosearch.library.folder_dates import UNDATED_IN, count_undated, match_folders
from photosearch.library.folders import match_folder
from photosearch.library.id_sets import MAX_ID, is_in, list_ids, read_id_set, to_digits
from photosearch.library.models import find_scorers
from photosearch.library.records import Label

DEPTHS = (200, 1_000, 4_000, 20_000, 100_000)  # images read from each label's list in turn, before all are read
MAX_SCANNED = 12_000  # photos left by a filter, up to which the query is evaluated on each of them
MAX_LISTED = 40_000  # photos of a filter, up to which its condition lists them; of more, each photo is looked up
MAX_MEASURED = 250_000  # photos of a filter, and images of a label, up to which they are counted before they are read
CHUNK = 10_000  # images whose photos are looked up at once
READS = 4  # photos of a filter that are evaluated in the time in which one of a label's list is read and rejected
READS_OF_LISTS = 2  # the same, of lists that are only counted, in the order of the images
LOOKUPS = 25  # images of a label's list that are read in the time in which a score is looked up
AS_GOOD_AS_NONE = 2.0**-54  # the highest score s of which 1 - s is 1: those without a label are as many as have less
MAX_UNDATED = 50_000  # images without a date, up to which their photos are looked up one by one
MIN_POSITIVE = 5e-324  # the smallest float above 0: every image with this score or more has a row

# An mtime of 0 is unknown: some storages, and many archives, keep none.
FILE_DATE = (
    "iif(p.mtime_ns > 0, strftime('%Y-%m-%dT%H:%M:%S', p.mtime_ns / 1000000000, 'unixepoch', 'localtime'), NULL)"
)
LOCAL_DATE = "coalesce(p.taken, (SELECT i.taken FROM images i WHERE i.id = p.image_id), p.name_date)"  # of photos `p`
UNDATED = "p.taken IS NULL AND i.taken IS NULL AND p.name_date IS NULL"  # of photos `p` with images `i`
BETWEEN = f"coalesce({LOCAL_DATE} BETWEEN ? AND ?, p.folder_id IN (SELECT value FROM json_each(?)))"  # of folders' too
_DATES = f"""
    coalesce(p.taken, i.taken, p.name_date),
    coalesce(p.taken_from, iif(i.taken IS NOT NULL, i.taken_from, iif(p.name_date IS NOT NULL, 'name', NULL))),
    iif(coalesce(p.taken, i.taken, p.name_date) IS NULL, {FILE_DATE}, NULL)
"""


@dataclass(frozen=True, slots=True)
class Match:
    """A photo that was found. score: of the label, 0..1, or the similarity, -1..1; None where dates alone rank.

    taken: local time, YYYY-MM-DDTHH:MM:SS. taken_from: the metadata field, 'name', or 'file' for the mtime; both are
    "" where no date is known. by: what found it. sure: whether it shows what was asked, as far as can be told. copies:
    further photos of the same picture that are not listed. photo_id: of the file, where it is known. why: the reasons,
    such as `caption: the dog`, `label dog 0.93`, `similarity 0.48`.
    """

    path: str
    score: float | None
    taken: str
    taken_from: str
    image_id: int
    by: Literal["label", "similarity", "date"] = "label"
    sure: bool = True
    copies: int = 0
    photo_id: int = field(default=0, compare=False)
    why: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class PhotoFilter:
    """Which photos may match: an SQL condition on photos `p`, its values, and about how many the strictest part leaves.

    photos: None where it is unknown. share: of all photos, those that meet all conditions, if these are independent.
    scan: makes the same filter with a condition that SQLite best begins with, where `where` tests photo by photo.
    dates: of all its photos, the first and the last LOCAL_DATE that the condition lets through; None: any, or none.
    folders: with `dates`, the ids of the folders of which undated photos are let through, too, as a JSON list.
    """

    where: str
    values: tuple[SqlValue, ...]
    photos: int | None
    share: float = 1.0
    scan: "Callable[[], PhotoFilter] | None" = field(default=None, compare=False)
    dates: tuple[str, str] | None = None
    folders: str = "[]"

    @property
    def few_photos(self) -> int | None:
        """The number of photos, where each of so few may be looked at; else None."""
        return None if self.photos is None or self.photos > MAX_MEASURED else self.photos

    def is_best_scanned(self, limit: int | None, rows: int | None = None) -> bool:
        """Whether to evaluate a query on each photo of the filter, rather than to read labels' lists up to `limit`.

        rows: of the labels' lists, None: as many as there are images.
        """
        if (photos := self.few_photos) is None or (rows is not None and photos >= READS * rows):
            return False
        return photos <= MAX_SCANNED or limit is None or photos * self.share < READS * limit

    def scanned(self) -> "PhotoFilter":
        """The same photos, for a query that is evaluated on each of them."""
        return self if self.scan is None else self.scan()

    def join(self, other: "PhotoFilter") -> "PhotoFilter":
        """The photos of both: first those of this filter."""
        where = " AND ".join(filter(None, [self.where, other.where]))
        photos = min((n for n in (self.photos, other.photos) if n is not None), default=None)
        scan = None if self.scan is None else lambda: self.scanned().join(other)
        spans = [span for span in (self.dates, other.dates) if span is not None]
        dates = (max(first for first, _ in spans), min(last for _, last in spans)) if spans else None
        folders = other.folders if self.dates is None else self.folders
        return PhotoFilter(where, (*self.values, *other.values), photos, self.share * other.share, scan, dates, folders)


NO_FILTER = PhotoFilter("", (), None)


@dataclass(frozen=True, slots=True)
class _Top:
    """The images with the highest scores for a label, or for its negation.

    end: every image that scores `end` or more is in `images`, except those with an id above `cut` that score exactly
    `end`. is_all: whether the label, or its negation, applies to no others.
    """

    images: frozenset[int]
    end: float
    cut: int | None
    is_all: bool


class MatchQuery:
    """A query on a library. labels: name in the query -> label. min_score: replaces the labels' thresholds."""

    def __init__(
        self, db: Database, tree: query.Query, labels: Mapping[str, Label], min_score: float | None, only: PhotoFilter
    ):
        self.db, self.tree, self.labels, self.only = db, tree, labels, only
        self.thresholds = {n: label.threshold if min_score is None else min_score for n, label in labels.items()}
        self.columns = {name: f"coalesce(s{i}.score, 0.0)" for i, name in enumerate(labels)}
        self.scorers = {name: find_scorers(db, label) for name, label in labels.items()}

    def rows(self, limit: int | None) -> list[Row]:
        """(root, folder, name, score, taken, taken from, file's mtime as a date, image id, photo id), best first."""
        if self._is_filter_best_scanned(limit):
            return self._read_some(limit)
        if isinstance(self.tree, query.Is) and self.thresholds[self.tree.label] > 0:
            return self._read_in_order(self.tree.label, limit)
        if limit is not None and (rows := self._read_tops(limit)) is not None:
            return rows
        return self._read_all(limit)

    def _is_filter_best_scanned(self, limit: int | None) -> bool:
        if self.only.few_photos is None:  # and no list of a label has to be counted
            return False
        cover = self._cover(self.tree, True)
        return self.only.is_best_scanned(limit, None if cover is None else self._count_rows(cover))

    def _count_rows(self, names: Sequence[str]) -> int:
        """Of the lists of these labels, from their thresholds on: each counted up to MAX_MEASURED."""
        return sum(self.db.recall(_count_rows, self.labels[name].id, self.thresholds[name]) for name in names)

    def _read_in_order(self, name: str, limit: int | None) -> list[Row]:
        order = "s.score DESC, s.image_id, p.id"
        source = "scores s INDEXED BY scores_best CROSS JOIN photos p ON p.image_id = s.image_id"
        sql = f"""
            SELECT r.path, f.path, p.name, s.score, {_DATES}, p.image_id, p.id
            FROM {source} JOIN images i ON i.id = p.image_id
            JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
            WHERE {" AND ".join(["s.label_id = ?", "s.score >= ?", *_exist(self.only)])} ORDER BY {order} LIMIT ?
        """
        values = [self.labels[name].id, self.thresholds[name], *self.only.values, -1 if limit is None else limit]
        return self.db.rows(sql, values)

    def _read_some(self, limit: int | None) -> list[Row]:
        joins, where, values = self._conditions("p.image_id", self.tree)
        return self._read_scored(f"photos p{joins}", where, values, limit, self.only.scanned())

    def _read_tops(self, limit: int) -> list[Row] | None:
        """The best rows, from the tops of the labels' lists; None where those are not enough to be sure.

        After Ronald Fagin, "Combining fuzzy information from multiple systems", 1996: no image outside the tops can
        score higher than their ends, so `limit` rows from that score on are the best of all.
        """
        enough = 0.0
        is_joint = isinstance(self.tree, query.And) or isinstance(getattr(self.tree, "part", None), query.Or)
        cover = self._cover(self.tree, True)
        rows_of_all = math.inf if cover is None else self._count_rows(cover)
        for depth in DEPTHS:
            if max(depth, enough) * READS > rows_of_all:
                break
            if depth < enough:  # by what the depth before gave, this one would give too few
                continue
            tops = self._tops(self.tree, depth, limit, True)
            end = max(top.end for top in tops)
            cut = min((top.cut for top in tops if top.cut is not None and top.end == end), default=None)
            rows = self._read_images(frozenset().union(*(top.images for top in tops)), limit)
            sure = [r for r in rows if r[3] > end or (r[3] == end and (cut is None or r[7] <= cut))]
            if len(sure) == limit or all(top.is_all for top in tops):
                return rows
            more = limit / (len(sure) + 1)
            enough = depth * (math.sqrt(more) if is_joint else more)
        return None

    def _read_images(self, images: Iterable[int], limit: int | None) -> list[Row]:
        source, where, values = self._join_photos("json_each(?) c", [json.dumps(sorted(images))])
        return self._read_scored(source, where, values, limit)

    def _read_all(self, limit: int | None) -> list[Row]:
        cover = self._cover(self.tree, True)
        if cover is not None and self._is_list_best_read(cover):
            return self._read_images(list_ids(self._match_lists(cover)), limit)
        source, where, values = self._join_photos(*self._find_source())
        return self._read_scored(source, where, values, limit)

    def read_images(self) -> list[int]:
        """Every matching image once, in no order."""
        source, where, values = self._join_photos(*self._find_source())
        conditions = [*where, "p.absent IS NULL", *filter(None, [self.only.where])]
        sql = f"SELECT DISTINCT p.image_id FROM {source} WHERE {' AND '.join(conditions)}"
        return [image_id for (image_id,) in self.db.rows(sql, [*values, *self.only.values])]

    def count(self, limit: int) -> int:
        """The number of matching photos, counted up to `limit`, without sorting them or computing dates."""
        only = self.only
        cover = self._cover(self.tree, True)
        has_lists = cover is not None and self._is_list_best_read(cover)
        if cover is not None and has_lists and not self._is_filter_shorter(cover):
            return self._count_lists(cover, limit)
        if has_lists or self._is_filter_best_scanned(limit):
            only = only.scanned()
            joins, where, values = self._conditions("p.image_id", self.tree)
            source = f"photos p{joins}"
        else:
            images, values = self._find_source()
            joins, where, more = self._conditions("c.value", self._find_rest())
            source, values = f"{images}{joins} CROSS JOIN photos p ON p.image_id = c.value", [*values, *more]
        sql = f"SELECT 1 FROM {source} WHERE {' AND '.join([*where, *_exist(only)])} LIMIT ?"
        return int(self.db.one(f"SELECT count(*) FROM ({sql})", [*values, *only.values, limit])[0])

    def _is_filter_shorter(self, cover: Sequence[str]) -> bool:
        """Whether a query is sooner evaluated on each photo of the filter than counted by the lists of labels."""
        photos = self.only.few_photos
        return photos is not None and READS_OF_LISTS * photos <= self._count_rows(cover)

    def _count_lists(self, cover: Sequence[str], limit: int) -> int:
        """The same, from the lists of labels: of some images first, those with the lowest ids, until there are enough.

        Side by side in the library, their photos take a quarter of the time to look up.
        """
        (end,) = self.db.one("SELECT coalesce(max(id), 0) + 1 FROM images")
        share = 2 * limit / max(1, self._count_rows(cover) * self.only.share)
        n, first = 0, 1
        while first < end and n < limit:
            last = end if share > 0.5 else min(end, first + math.ceil(end * share))
            found = list_ids(self._match_lists(cover, first, last))
            for i in range(0, len(found), CHUNK):
                n += self._count_photos(found[i : i + CHUNK], limit - n)
            first, share = last, 4 * share
        return n

    def _count_photos(self, images: Sequence[int], limit: int) -> int:
        """How many photos show these images, counted up to `limit`."""
        where = " AND ".join(_exist(self.only))
        sql = f"SELECT 1 FROM json_each(?) c CROSS JOIN photos p ON p.image_id = c.value WHERE {where} LIMIT ?"
        values = [json.dumps(images), *self.only.values, limit]
        return int(self.db.one(f"SELECT count(*) FROM ({sql})", values)[0])

    def _is_list_best_read(self, cover: Sequence[str]) -> bool:
        """Whether to read the lists of all labels, rather than that of a cover and to look up the others' scores."""
        rest = self._find_rest()
        names = [] if isinstance(rest, bool) else query.list_labels(rest)
        if self._has_several_scorers() or not (names or self.only.where):
            return False
        return self._count_rows(names) <= LOOKUPS * self._count_rows(cover)

    def _has_several_scorers(self) -> bool:
        """Whether an image may be scored for some of the labels only, so that its scores have to be looked up."""
        return len(set(map(_join_ids, self.scorers.values()))) > 1

    def _match_lists(self, cover: Sequence[str], first: int = 0, end: int = MAX_ID) -> int:
        """The set of all matching images with an id from `first` up to `end`, from the lists of labels.

        Each list is read from its index in order, which takes less than a tenth of the time for an image.
        """
        names = dict.fromkeys([*cover, *query.list_labels(self.tree)])
        lists = {name: self._read_list(name, first, end) for name in names if self.thresholds[name] > 0}
        return _hold(self.tree, functools.reduce(operator.or_, (lists[name] for name in cover)), lists)

    def _read_list(self, name: str, first: int, end: int) -> int:
        """The set of images that a label applies to."""
        sql = "SELECT image_id FROM scores WHERE label_id = ? AND score >= ? AND image_id >= ? AND image_id < ?"
        return self.db.recall(read_id_set, sql, (self.labels[name].id, self.thresholds[name], first, end))

    def _find_rest(self) -> query.Query | bool:
        """What has to hold of the images of `_find_source` to match."""
        cover = self._cover(self.tree, True)
        if cover is None:
            return self.tree
        rests = {
            query.assume(self.tree, {**dict.fromkeys(cover[:i], False), name: True}) for i, name in enumerate(cover)
        }
        return rests.pop() if len(rests) == 1 else self.tree

    def _find_source(self) -> tuple[str, list[SqlValue]]:
        """-> (a table `c` with a column `value`: images that include every match, each once, its values).

        Without a UNION, which would collect all of them before the first.
        """
        cover = self._cover(self.tree, True)
        values: list[SqlValue] = []
        if cover is not None:  # one of these labels must apply
            parts = []
            for i, name in enumerate(cover):
                part = "SELECT image_id AS value FROM scores s WHERE label_id = ? AND score >= ?"
                values += [self.labels[name].id, self.thresholds[name]]
                for earlier in cover[:i]:
                    part += (" AND NOT EXISTS (SELECT 1 FROM scores e WHERE e.image_id = s.image_id"
                             " AND e.label_id = ? AND e.score >= ?)")  # fmt: skip
                    values += [self.labels[earlier].id, self.thresholds[earlier]]
                parts.append(part)
            source = f"({' UNION ALL '.join(parts)}) c"
        else:
            ids = _join_ids(next(iter(self.scorers.values())))
            source = f"(SELECT image_id AS value FROM scored WHERE model_id IN ({ids}) AND active) c"
        return source, values

    def _join_photos(self, images: str, values: Sequence[SqlValue]) -> tuple[str, list[str], list[SqlValue]]:
        """A table `c` of images -> (the matching ones joined to photos `p`, conditions, values)."""
        joins, where, more = self._conditions(
            "c.value", self.tree
        )  # before the photos, so that others are not looked up
        return f"{images}{joins} CROSS JOIN photos p ON p.image_id = c.value", where, [*values, *more]

    def _conditions(self, image: str, rest: query.Query | bool) -> tuple[str, list[str], list[SqlValue]]:
        """-> (joins to an image's id, conditions, their values): the image is scored for all labels, and `rest` holds.

        rest: the query, or what is left of it; the joins are to its labels.
        """
        names = set() if isinstance(rest, bool) else set(query.list_labels(rest))
        joins = "".join(
            f" LEFT JOIN scores s{i} ON s{i}.image_id = {image} AND s{i}.label_id = {label.id:d}"
            for i, (name, label) in enumerate(self.labels.items())
            if name in names
        )
        scorers = dict.fromkeys(map(_join_ids, self.scorers.values()))
        if len(scorers) == 1 and self._cover(self.tree, True) is not None:
            scorers = {}  # a match has a row for a label, so one of them has scored it
        known = [
            f"EXISTS (SELECT 1 FROM scored k WHERE k.model_id IN ({ids}) AND k.image_id = {image} AND k.active)"
            for ids in scorers
        ]
        values: list[SqlValue] = []
        return joins, [*known, str(int(rest)) if isinstance(rest, bool) else self._holds(rest, values)], values

    def _read_scored(
        self, source: str, where: Sequence[str], values: Sequence[SqlValue], limit: int | None,
        only: PhotoFilter | None = None,
    ) -> list[Row]:  # fmt: skip
        """The matching photos of a source, with their scores; where: that they match. Dates of those in the end."""
        only = only or self.only
        sql = f"""
            SELECT r.path, f.path, p.name, b.score, {_DATES}, p.image_id, p.id
            FROM (
                SELECT p.id AS photo_id, {self._score(self.tree)} AS score FROM {source}
                WHERE {" AND ".join([*where, *_exist(only)])} ORDER BY score DESC, p.image_id, p.id LIMIT ?
            ) b CROSS JOIN photos p ON p.id = b.photo_id JOIN images i ON i.id = p.image_id
            JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
            ORDER BY b.score DESC, p.image_id, p.id
        """
        return self.db.rows(sql, [*values, *only.values, -1 if limit is None else limit])

    # ---- a query in SQL

    def _holds(self, q: query.Query, values: list[SqlValue]) -> str:
        match q:
            case query.Is(name):
                values.append(self.thresholds[name])
                return f"{self.columns[name]} >= ?"
            case query.Not(part):
                return f"NOT ({self._holds(part, values)})"
            case query.And(parts):
                return "(" + " AND ".join(self._holds(p, values) for p in parts) + ")"
            case query.Or(parts):
                return "(" + " OR ".join(self._holds(p, values) for p in parts) + ")"

    def _score(self, q: query.Query) -> str:
        match q:
            case query.Is(name):
                return self.columns[name]
            case query.Not(part):
                return f"(1.0 - {self._score(part)})"
            case query.And(parts):
                return f"min({', '.join(map(self._score, parts))})"
            case query.Or(parts):
                return f"max({', '.join(map(self._score, parts))})"

    def _cover(self, q: query.Query, yes: bool) -> list[str] | None:
        """Labels of which one must apply for the query (its negation, if not `yes`) to match; None where none need."""
        match q:
            case query.Not(part):
                return self._cover(part, not yes)
            case query.Is(name):
                return [name] if yes and self.thresholds[name] > 0 else None
            case query.And(parts) | query.Or(parts):
                each = [self._cover(part, yes) for part in parts]
                if isinstance(q, query.And) == yes:  # every part must match, so one part's cover is enough
                    possible = [cover for cover in each if cover is not None]
                    return min(possible, key=self._count_rows) if len(possible) > 1 else next(iter(possible), None)
                together = [name for cover in each for name in cover or ()]
                return None if None in each else list(dict.fromkeys(together))

    # ---- the tops of the labels' lists

    def _tops(self, q: query.Query, depth: int, limit: int, yes: bool) -> list[_Top]:
        """Tops that include every image with a higher score by `q` (its negation, if not `yes`) than all their ends."""
        match q:
            case query.Not(part):
                return self._tops(part, depth, limit, not yes)
            case query.Is(name):
                return [self._top(name, depth) if yes else self._top_without(name, depth)]
            case query.And(parts) | query.Or(parts):
                each = [self._tops(part, depth, limit, yes) for part in parts]
                if isinstance(q, query.And) == yes:  # the score is the smallest part's, so one part's tops are enough
                    return _choose_tops(each, limit)
                return [top for tops in each for top in tops]

    def _top(self, name: str, depth: int) -> _Top:
        """The images with the highest scores for a label."""
        sql = (
            "SELECT image_id, score FROM scores WHERE label_id = ? AND score > 0 ORDER BY score DESC, image_id LIMIT ?"
        )
        rows = self.db.rows(sql, [self.labels[name].id, depth + 1])
        if len(rows) <= depth:
            return _Top(frozenset(i for i, _ in rows), MIN_POSITIVE, None, self.thresholds[name] > 0)
        cut, end = rows[depth - 1] if depth else (-1, rows[0][1])
        follows = rows[depth][1]
        images = frozenset(i for i, _ in rows[:depth])
        return _Top(images, end, cut if follows == end else None, self.thresholds[name] > follows)

    def _top_without(self, name: str, depth: int) -> _Top:
        """The images with the lowest scores for a label: first those without a row."""
        label, threshold = self.labels[name], 1.0 - self.thresholds[name]
        without: list[int] = []
        for model_id, min_score in self.scorers[name].items():
            if min_score > 0:  # else every image has a row
                rows = self.db.rows(
                    """
                    SELECT k.image_id FROM scored k WHERE k.model_id = ? AND k.active AND NOT EXISTS (
                        SELECT 1 FROM scores s WHERE s.image_id = k.image_id AND s.label_id = ?)
                    ORDER BY k.image_id LIMIT ?
                    """,
                    [model_id, label.id, depth + 1],
                )
                without += [image_id for (image_id,) in rows]
        if len(without) > depth:
            nearest = sorted(without)[:depth]
            return _Top(frozenset(nearest), 1.0, nearest[-1] if nearest else -1, threshold >= 1.0)
        lowest = "SELECT score FROM scores WHERE label_id = ? {} ORDER BY score LIMIT 1 OFFSET ?"
        last = self.db.row(lowest.format(""), [label.id, depth])
        highest = 1.0 if last is None else max(last[0], AS_GOOD_AS_NONE)
        rows = self.db.rows("SELECT image_id FROM scores WHERE label_id = ? AND score <= ?", [label.id, highest])
        images = frozenset(without).union(i for (i,) in rows)
        following = self.db.row(lowest.format("AND score > ?"), [label.id, highest, 0])
        if following is None:  # the whole list was read
            return _Top(images, MIN_POSITIVE, None, True)
        return _Top(images, 1.0 - following[0], -1, threshold >= 1.0 - following[0])


def _choose_tops(each: Sequence[list[_Top]], limit: int) -> list[_Top]:
    """Of the tops of parts that must all hold: those of one part, or what all have in common, where that is enough.

    An image outside of what they have in common is outside of one of them, and so scores no more than its end.
    """
    lowest = min(each, key=lambda tops: max(top.end for top in tops))
    if all(len(tops) == 1 for tops in each):
        tops = [top for (top,) in each]
        common = frozenset.intersection(*(top.images for top in tops))
        if limit <= len(common) <= len(lowest[0].images) / READS:
            end = max(top.end for top in tops)
            cut = min((top.cut for top in tops if top.end == end and top.cut is not None), default=None)
            return [_Top(common, end, cut, all(top.is_all for top in tops))]
    return lowest


def _hold(q: query.Query, images: int, lists: Mapping[str, int]) -> int:
    """The images of a set that a query holds for. lists: label -> images that it applies to; without one, to all."""
    match q:
        case query.Is(name):
            return images & lists[name] if name in lists else images
        case query.Not(part):
            return images & ~_hold(part, images, lists)
        case query.And(parts):
            return functools.reduce(operator.and_, (_hold(part, images, lists) for part in parts))
        case query.Or(parts):
            return functools.reduce(operator.or_, (_hold(part, images, lists) for part in parts))


def _exist(only: PhotoFilter) -> list[str]:
    """Conditions on photos `p`: on the disk, readable, and of a filter, tested before a photo's row is read."""
    if not only.where:
        return ["p.absent IS NULL", "p.image_id IS NOT NULL"]
    return ["p.image_id IS NOT NULL", only.where, "(SELECT a.absent FROM photos a WHERE a.id = p.id) IS NULL"]


def _count_rows(db: Database, label_id: int, threshold: float) -> int:
    sql = "SELECT count(*) FROM (SELECT 1 FROM scores WHERE label_id = ? AND score >= ? LIMIT ?)"
    return int(db.one(sql, [label_id, threshold, MAX_MEASURED])[0])


def _join_ids(ids: Iterable[int]) -> str:
    return ", ".join(map(str, ids))


def find_matches(
    db: Database,
    tree: query.Query,
    labels: Mapping[str, Label],
    *,
    min_score: float | None = None,
    limit: int | None = None,
    only: PhotoFilter | None = None,
) -> list[Match]:
    """The photos that match a query, best first; equal scores in the order in which the images were added.

    labels: name in the query -> label. min_score: replaces the labels' thresholds. only: see filter_photos.
    """
    in_order = {name: labels[name] for name in query.list_labels(tree)}
    return _make_matches(MatchQuery(db, tree, in_order, min_score, only or NO_FILTER).rows(limit))


def count_matches(
    db: Database,
    tree: query.Query,
    labels: Mapping[str, Label],
    limit: int,
    min_score: float | None,
    only: PhotoFilter,
) -> int:
    """How many photos find_matches would give, counted up to `limit`."""
    in_order = {name: labels[name] for name in query.list_labels(tree)}
    return MatchQuery(db, tree, in_order, min_score, only).count(limit)


def find_images(
    db: Database, tree: query.Query | None, labels: Mapping[str, Label], min_score: float | None, only: PhotoFilter
) -> list[int]:
    """The images that match the query, None: all, and that a photo of the filter shows; in no order."""
    if tree is not None:
        in_order = {name: labels[name] for name in query.list_labels(tree)}
        return MatchQuery(db, tree, in_order, min_score, only).read_images()
    where = " AND ".join(["p.absent IS NULL", "p.image_id IS NOT NULL", *filter(None, [only.where])])
    return [i for (i,) in db.rows(f"SELECT DISTINCT p.image_id FROM photos p WHERE {where}", only.values)]


def to_matches(db: Database, scores: Sequence[tuple[int, float]], only: PhotoFilter) -> list[Match]:
    """The photos of the filter that show these images, given as (image id, score), in their order."""
    where = " AND ".join(["p.absent IS NULL", *filter(None, [only.where])])
    rows = db.rows(
        f"""
        SELECT r.path, f.path, p.name, json_extract(c.value, '$[1]') AS score, {_DATES}, p.image_id, p.id
        FROM json_each(?) c CROSS JOIN photos p ON p.image_id = json_extract(c.value, '$[0]')
        JOIN images i ON i.id = p.image_id JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
        WHERE {where} ORDER BY c.key, p.id
        """,
        [json.dumps(scores), *only.values],
    )
    return _make_matches(rows)


def _make_matches(rows: Iterable[Row]) -> list[Match]:
    return [
        Match(
            join(root, folder, name), score, taken or at or "", source or ("file" if at else ""), image_id,
            photo_id=photo_id,
        )
        for root, folder, name, score, taken, source, at, image_id, photo_id in rows
    ]  # fmt: skip


def read_matches(db: Database, photo_ids: Sequence[int]) -> dict[int, Match]:
    """These photos by their ids; those that are no longer in the library are left out."""
    rows = db.rows(
        f"""
        SELECT r.path, f.path, p.name, NULL, {_DATES}, p.image_id, p.id
        FROM json_each(?) c CROSS JOIN photos p ON p.id = c.value
        JOIN images i ON i.id = p.image_id JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
        """,
        [json.dumps(list(photo_ids))],
    )
    return {match.photo_id: replace(match, by="date") for match in _make_matches(rows)}


def measure_share(db: Database, photos: Sequence[int]) -> float:
    """The share of all images that several filters leave together, 0..1, if they are independent.

    photos: how many each leaves.
    """
    total = max(1, db.one("SELECT n FROM counts WHERE name = 'images'")[0])
    return math.prod(min(1.0, n / total) for n in photos)


def find_newest(db: Database, limit: int | None, only: PhotoFilter) -> list[Match]:
    """The photos of the filter, the newest first; undated ones by their files' dates. limit: None: all.

    Where a filter leaves many, the newest of each kind of date are read, sorted by its index, and then put together.
    The files' dates have no index: where few images are undated, only those are compared.
    """
    photos = "photos p JOIN images i ON i.id = p.image_id"
    sources: list[tuple[str, str, str, tuple[str, str] | None]]
    if limit is None or (only.photos is not None and only.photos <= MAX_LISTED):
        sources = [(photos, "1", f"coalesce({LOCAL_DATE}, {FILE_DATE})", None)]
    else:
        images = "images i CROSS JOIN photos p ON p.image_id = i.id"
        sources = [
            (photos, "p.taken IS NOT NULL", "p.taken", only.dates),
            (images, "i.taken IS NOT NULL AND p.taken IS NULL", "i.taken", only.dates),
            (photos, "p.name_date IS NOT NULL AND i.taken IS NULL AND p.taken IS NULL", "p.name_date", only.dates),
        ]
        if only.dates is not None:
            ids = ", ".join(map(str, json.loads(only.folders)))
            sources += [(photos, f"{UNDATED} AND p.folder_id IN ({ids})", "p.mtime_ns", None)] if ids else []
        elif n_undated := _count_undated_images(db):
            few = " AND p.image_id IN (SELECT id FROM images WHERE taken IS NULL)" if n_undated <= MAX_UNDATED else ""
            sources.append((photos, UNDATED + few, "p.mtime_ns", None))
    found = [match for source in sources for match in _read_newest(db, *source, limit, only)]
    return sorted(found, key=lambda match: match.taken, reverse=True)[:limit]


def _count_undated_images(db: Database) -> int:
    """From the index of dates, which lists those that have one."""
    sql = """
        SELECT (SELECT n FROM counts WHERE name = 'images') - (SELECT count(*) FROM images WHERE taken IS NOT NULL)
    """
    return int(db.one(sql)[0])


def _read_newest(
    db: Database, source: str, dated: str, order: str, dates: tuple[str, str] | None, limit: int | None,
    only: PhotoFilter,
) -> list[Match]:  # fmt: skip
    """dates: the first and the last to read, of an order that has an index; None: all."""
    between = f"{order} BETWEEN ? AND ?" if dates else ""
    where = [*filter(None, [dated, between]), "p.absent IS NULL", "p.image_id IS NOT NULL", *filter(None, [only.where])]
    sql = f"""
        SELECT r.path, f.path, p.name, NULL, {_DATES}, p.image_id, p.id
        FROM {source} JOIN folders f ON f.id = p.folder_id JOIN roots r ON r.id = f.root_id
        WHERE {" AND ".join(where)} ORDER BY {order} DESC, p.id LIMIT ?
    """
    rows = db.rows(sql, [*(dates or ()), *only.values, -1 if limit is None else limit])
    return [replace(match, by="date") for match in _make_matches(rows)]


def count_photos(db: Database, limit: int, only: PhotoFilter) -> int:
    """The number of readable photos of the filter, counted up to `limit`."""
    where = " AND ".join(["p.absent IS NULL", "p.image_id IS NOT NULL", *filter(None, [only.where])])
    return int(db.one(f"SELECT count(*) FROM (SELECT 1 FROM photos p WHERE {where} LIMIT ?)", [*only.values, limit])[0])


def list_best(db: Database, label: Label, limit: int) -> list[int]:
    """The images with the highest scores for a label, the highest first."""
    sql = "SELECT image_id FROM scores WHERE label_id = ? ORDER BY score DESC, image_id LIMIT ?"
    return [image_id for (image_id,) in db.rows(sql, [label.id, limit])]


def read_label_scores(db: Database, label: Label, image_ids: Sequence[int]) -> dict[int, float]:
    """Image -> its score for a label, where it has one."""
    sql = """
        SELECT s.image_id, s.score FROM json_each(?) c
        CROSS JOIN scores s ON s.label_id = ? AND s.image_id = c.value
    """
    return dict(db.rows(sql, [json.dumps(list(image_ids)), label.id]))


def filter_photos(
    db: Database, under: str | None, since: str | None, until: str | None, file_dates: bool = False
) -> PhotoFilter:
    """The photos below a folder that were taken between two dates.

    since, until: YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDTHH:MM:SS, local time; both periods are included whole. A
    photo without a date is of the time that its folder's name says, as in "Rome 2019": if all of it lies in between.
    file_dates: use the file's mtime for a photo without any other date.
    """
    where: list[str] = []
    values: list[SqlValue] = []
    photos: list[int] = []  # upper bounds
    if under is not None:
        inside, more = match_folder(db, under)
        where.append(f"p.folder_id IN (SELECT f.id FROM folders f WHERE {inside})")
        values += more
        photos.append(int(db.one(f"SELECT coalesce(sum(f.photos), 0) FROM folders f WHERE {inside}", more)[0]))
    if since is not None or until is not None:
        bounds = [since or "", (until or "") + "~"]  # ~ sorts after any more exact date
        between = """
            SELECT d.id FROM photos d WHERE d.taken BETWEEN ? AND ?
            UNION ALL SELECT d.id FROM images i JOIN photos d ON d.image_id = i.id
            WHERE i.taken BETWEEN ? AND ? AND d.taken IS NULL
            UNION ALL SELECT d.id FROM photos d WHERE d.name_date BETWEEN ? AND ? AND d.taken IS NULL
        """
        folders = db.recall(match_folders, *bounds)
        n_undated = db.recall(count_undated, folders, MAX_MEASURED)
        test, tested_values = f"{LOCAL_DATE} BETWEEN ? AND ?", bounds
        if n_undated:
            test, tested_values = BETWEEN, [*bounds, folders]
            between += f"UNION ALL SELECT d.id {UNDATED_IN}"
        if file_dates:
            where.append(f"({test} OR coalesce({LOCAL_DATE}, {FILE_DATE}) BETWEEN ? AND ?)")
            values += [*tested_values, *bounds]
        else:
            photos.append(db.recall(_count_dated, *bounds) + n_undated)
            listed = " AND ".join([*where, f"p.id IN ({between})"]), (*values, *bounds * 2, *tested_values)
            tested = " AND ".join([*where, test]), (*values, *tested_values)
            share = measure_share(db, photos)
            if photos[-1] <= MAX_LISTED:
                return PhotoFilter(*listed, min(photos), share)
            scan = (lambda: PhotoFilter(*listed, min(photos), share)) if photos[-1] == min(photos) else None
            dated_in = folders if n_undated else "[]"
            return PhotoFilter(*tested, min(photos), share, scan, (bounds[0], bounds[1]), dated_in)
    return PhotoFilter(" AND ".join(where), tuple(values), min(photos, default=None), measure_share(db, photos))


def match_id_set(db: Database, ids: int) -> PhotoFilter:
    """The photos of a set of ids."""
    n = ids.bit_count()

    def list_photos() -> PhotoFilter:
        return PhotoFilter("p.id IN (SELECT value FROM json_each(?))", (json.dumps(list_ids(ids)),), n, share)

    share = measure_share(db, [n])
    return list_photos() if n <= MAX_LISTED else PhotoFilter(is_in("p.id"), (to_digits(ids),), n, share, list_photos)


def _count_dated(db: Database, since: str, until: str) -> int:
    """About how many photos have a date in between, up to some MAX_MEASURED: copies are not counted."""
    counts = " + ".join(
        f"(SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {date} BETWEEN ?1 AND ?2 LIMIT {MAX_MEASURED + 1}))"
        for table, date in (("images", "taken"), ("photos", "taken"), ("photos", "name_date"))
    )
    return int(db.one(f"SELECT {counts}", [since, until])[0])
