"""Keywords in side-cars: exported from a library for other programs, and imported as marks. See metadata/.

The export writes what `find` finds and what was marked; a mark overrides. A keyword that this tool wrote is removed
once its label no longer holds. Other keywords are never changed, and no photo is ever written. The import reads all
places that hold keywords: the photo, its side-cars, Google Takeout's JSON, Picasa's file.
"""

import itertools
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field

from photosearch import atomic, query
from photosearch.errors import InputError
from photosearch.library import marks, matching
from photosearch.library.database import Database
from photosearch.library.photos import list_readable
from photosearch.library.records import Label
from photosearch.metadata import edit, picasa
from photosearch.metadata.picasa import read_picasa
from photosearch.metadata.record import PhotoMetadata, merge
from photosearch.metadata.sidecars import (
    is_raw,
    is_short_name_of,
    match_sidecars,
    max_bytes,
    read_sidecar,
    sidecar_path,
)
from photosearch.metadata.takeout import NotTakeout
from photosearch.metadata.xmp import UnreadableXmp
from photosearch.photos.decode import Unreadable
from photosearch.photos.decoders import DecodeOptions, DecoderPool
from photosearch.photos.remote import is_address
from photosearch.search import hierarchy
from photosearch.search.label_names import check_label_name, fold_name, match_label, resolve_label
from photosearch.search.labels import list_known_names, list_labels, pick_label
from photosearch.search.scope import check_folder

IMPORT_BATCH = 1000  # photos whose metadata is read ahead


@dataclass(frozen=True, slots=True)
class SidecarChange:
    """A sidecar that was written, or would be. new: there was none. added, removed: keywords."""

    path: str
    new: bool
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(slots=True)
class ExportResult:
    """unchanged: sidecars that were right already. skipped: (sidecar, reason). missing: photos not on the disk.

    remote: photos at addresses, beside which no sidecar can be written.
    """

    written: list[SidecarChange] = field(default_factory=list)
    unchanged: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    missing: int = 0
    remote: int = 0

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(slots=True)
class ImportResult:
    """marks: those that were stored. photos: those with keywords or a rating. skipped: (sidecar, reason).

    unknown: keyword that names no label -> the number of photos with it. remote: photos at addresses, not read.
    """

    marks: int = 0
    photos: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    remote: int = 0


def export_keywords(
    db: Database, names: Sequence[str], *, under: str | None = None, model: str | None = None, marked: bool = False,
    short: bool = False, dry_run: bool = False, images: Collection[int] | None = None,
) -> ExportResult:  # fmt: skip
    """Write labels as keywords to sidecars of the photos that show them. Raises QueryError, InputError.

    marked: only what was marked, not what is found. short: photo.xmp in place of photo.jpg.xmp. dry_run: write nothing.
    images: only beside photos of these.
    """
    if not names:
        raise InputError("say which labels to write; for example: photosearch keywords export bird dog")
    known = list_labels(db, model)
    labels = [pick_label(name, known) for name in names]
    folder = None if under is None else check_folder(db, under)
    shown = _find_shown(db, labels, folder, marked)
    trees = {label.name: _place_in_tree(label.name) for label in labels}
    only = None if images is None else frozenset(images)
    return _export(list_readable(db, folder, beside=only), shown, trees, only, short=short, dry_run=dry_run)


def export_album(
    db: Database, name: str, image_ids: Iterable[int], *, short: bool = False, dry_run: bool = False
) -> ExportResult:
    """Write an album's name as a keyword to sidecars of its photos; remove it where it was written and holds no more.

    It is not removed where a label has that name, whose keyword it may be. Programs read | as a step of a hierarchy, so
    a space stands for it.
    """
    keyword = name.replace("|", " ")
    shown = {image_id: [keyword] for image_id in image_ids}
    label = match_label(keyword, list_known_names(db))
    only = frozenset(shown) if label is not None and fold_name(label) == fold_name(keyword) else None
    readable = list_readable(db, beside=only)
    return _export(readable, shown, {keyword: keyword}, only, short=short, dry_run=dry_run)


def _export(
    readable: Iterable[tuple[str, int]], shown: Mapping[int, Sequence[str]], trees: Mapping[str, str],
    only: Collection[int] | None, *, short: bool, dry_run: bool,
) -> ExportResult:  # fmt: skip
    """Write keywords. readable: (path, image id) of all photos of their folders. shown: image id -> its keywords.

    trees: keyword -> its place in the hierarchy. only: the images whose sidecars may change, None: all.
    """
    result = ExportResult()
    photos, addresses = _split(readable)
    result.remote = sum(image_id in shown and (only is None or image_id in only) for _, image_id in addresses)
    for path, image_id, sidecars in _match_photos(photos):
        if only is not None and image_id not in only:
            continue
        keywords = {name: trees[name] for name in shown.get(image_id, ())}
        if keywords and not os.path.isfile(path):
            result.missing += 1
            continue
        existing = [name for name in sidecars.own if name.lower().endswith(".xmp")]
        targets = [os.path.join(os.path.dirname(path), name) for name in existing]
        if keywords and (new := _name_new(path, sidecars, existing, short, result)) is not None:
            targets.append(new)
        for target in targets:
            _write(target, keywords, trees, result, dry_run)
    return result


def import_keywords(
    db: Database, *, under: str | None = None, new: Sequence[str] = (), complete: Sequence[str] = (),
    rated: Mapping[str, float] | None = None,
) -> ImportResult:  # fmt: skip
    """Store keywords as marks: a photo shows the labels that its keywords name. Raises InputError, QueryError.

    new: keywords to create labels for. complete: labels whose keyword is on every photo that shows them, so that a
    photo with other keywords only does not. rated: label -> the rating at and above which a photo shows it, and below
    which it does not. Keywords that this tool wrote are skipped.
    """
    reader = _KeywordReader(db, [*new, *(rated or {})], complete, rated or {})
    folder = None if under is None else check_folder(db, under)
    photos, addresses = _split(list_readable(db, folder))
    reader.result.remote = len(addresses)
    for image_id, record in _read_records(photos, reader.result):
        reader.add(image_id, record)
    marks.put_marks(db, ((label, image_id, present) for (label, image_id), present in reader.marks.items()))
    reader.result.marks = len(reader.marks)
    return reader.result


def _split(photos: Iterable[tuple[str, int]]) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """(path, image id) -> those of files, those at addresses."""
    found = list(photos)
    return [row for row in found if not is_address(row[0])], [row for row in found if is_address(row[0])]


class _KeywordReader:
    """Collects marks from sidecars: (label, image id) -> present."""

    def __init__(self, db: Database, new: Sequence[str], complete: Sequence[str], rated: Mapping[str, float]):
        self.marks: dict[tuple[str, int], bool] = {}
        self.result = ImportResult()
        self._known = [*list_known_names(db), *map(check_label_name, new)]
        self._complete = [resolve_label(name, self._known) for name in complete]
        self._rated = rated
        self._labels: dict[str, str | None] = {}  # keyword -> the label that it names

    def add(self, image_id: int, record: PhotoMetadata) -> None:
        keywords = record.keywords
        self.result.photos += bool(keywords or record.rating is not None)
        shown = set(filter(None, map(self._resolve, keywords)))
        self.marks |= {(label, image_id): True for label in shown}
        if keywords:
            self.marks |= {(label, image_id): False for label in self._complete if label not in shown}
        if record.rating is not None:
            self.marks |= {(label, image_id): record.rating >= least for label, least in self._rated.items()}

    def _resolve(self, keyword: str) -> str | None:
        if keyword not in self._labels:
            self._labels[keyword] = match_label(keyword, self._known)
        if self._labels[keyword] is None:
            self.result.unknown[keyword] += 1
        return self._labels[keyword]


def _find_shown(db: Database, labels: Sequence[Label], folder: str | None, marked: bool) -> dict[int, list[str]]:
    """image id -> the names of the labels that it shows, in their order."""
    shown: defaultdict[int, list[str]] = defaultdict(list)
    only = matching.filter_photos(db, folder, None, None)
    for label in labels:
        found = set()
        if not marked:
            found = set(matching.find_images(db, query.Is(label.name), {label.name: label}, None, only))
        for mark in marks.list_marks(db, label.name):
            (found.add if mark.present else found.discard)(mark.image_id)
        for image_id in found:
            shown[image_id].append(label.name)
    return shown


def _place_in_tree(name: str) -> str:
    """A label's place in the hierarchy: animal|bird|robin."""
    place = [name]
    parents = hierarchy.read_parents()
    while (above := parents.get(place[0])) and above[0] not in place:
        place.insert(0, above[0])
    return "|".join(part.replace("|", " ") for part in place)


@dataclass(frozen=True, slots=True)
class _Sidecars:
    """own: names of the files that belong to a photo. sharing: the photos whose photo.xmp would be the same."""

    own: tuple[str, ...]
    sharing: tuple[str, ...]


def _match_photos(photos: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int, _Sidecars]]:
    """(path, image id) -> with the side-cars on the disk. photos: folder by folder; each is listed once."""
    for folder, group in itertools.groupby(photos, key=lambda photo: os.path.dirname(photo[0])):
        some = list(group)
        names = [os.path.basename(path) for path, _ in some]
        sharing: defaultdict[str, list[str]] = defaultdict(list)
        known = set(names)
        others = [name for name in _list_names(folder) if name not in known]
        for name in (*names, *filter(is_raw, others)):
            sharing[os.path.splitext(name)[0]].append(name)
        own = match_sidecars(names, others)
        for (path, image_id), name in zip(some, names, strict=True):
            yield path, image_id, _Sidecars(own.get(name, ()), tuple(sharing[os.path.splitext(name)[0]]))


def _list_names(folder: str) -> list[str]:
    """Nothing where the folder is gone, or is an address."""
    try:
        return [] if is_address(folder) else os.listdir(folder)
    except OSError:
        return []


def _name_new(path: str, sidecars: _Sidecars, existing: Sequence[str], short: bool, result: ExportResult) -> str | None:
    """The side-car to make: none beside another, which it would hide from programs, unless a short one is asked for."""
    new = sidecar_path(path, short=short)
    if not short:
        return None if existing else new
    if not is_short_name_of(os.path.basename(path), sidecars.sharing):
        reason = (new, f"it would belong to {len(sidecars.sharing)} photos of that name")
        owned = any(is_short_name_of(name, sidecars.sharing) for name in sidecars.sharing)
        if not owned and reason not in result.skipped:
            result.skipped.append(reason)
        return None
    own = os.path.basename(new).casefold()
    return None if any(name.casefold() == own for name in existing) else new


def _write(
    sidecar: str, keywords: Mapping[str, str], managed: Mapping[str, str], result: ExportResult, dry_run: bool
) -> None:
    """Write one side-car. keywords: name -> its place in the hierarchy. managed: those that may be removed."""
    try:
        before = _read_file(sidecar)
        data, added, removed = edit.write_xmp(before[0] if before else None, keywords, managed)
        if before is not None and data == before[0]:
            result.unchanged += 1
            return
        if before is not None and not (before[1].st_mode & 0o222 and os.access(sidecar, os.W_OK)):
            raise UnreadableXmp("it is read-only; to change it, make it writable")
        if not dry_run:
            _replace(sidecar, data, before)
        result.written.append(SidecarChange(sidecar, before is None, tuple(added), tuple(removed)))
    except UnreadableXmp as error:
        result.skipped.append((sidecar, str(error)))
    except OSError as error:
        result.skipped.append((sidecar, error.strerror or str(error)))


def _read_file(path: str) -> tuple[bytes, os.stat_result] | None:
    """A side-car's bytes and its status; None where there is none. Raises UnreadableXmp, OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableXmp("it is a link, or not a file")
    if status.st_size > (limit := max_bytes(path)):
        raise UnreadableXmp(f"it is larger than {limit >> 20} MB")
    with open(path, "rb") as file:
        return file.read(limit + 1), status


def _replace(path: str, data: bytes, before: tuple[bytes, os.stat_result] | None) -> None:
    """Write aside and rename, unless the sidecar has changed since it was read. Raises UnreadableXmp, OSError."""
    part = f"{path}.part"  # a fixed name keeps a second export out between the check and the renaming
    try:
        # What other programs wrote into it can't be made again: it is on the disk before it takes the old one's place.
        with atomic.write_file(path, part=part, overwrite=before is not None, durable=before is not None) as file:
            file.write_bytes(data)
            if before is not None and _identify(os.lstat(path)) != _identify(before[1]):
                raise UnreadableXmp("another program has changed it meanwhile")
    except FileExistsError as error:
        if error.filename == path:
            raise UnreadableXmp("another program has changed it meanwhile") from None
        raise UnreadableXmp(
            f"{os.path.basename(part)} exists: another run is writing it, or was killed; then delete it"
        ) from None


def _identify(status: os.stat_result) -> tuple[int, int, int, int]:
    """What changes when a file is written or replaced, or its permissions are."""
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _read_records(photos: Iterable[tuple[str, int]], result: ImportResult) -> Iterator[tuple[int, PhotoMetadata]]:
    """(image id, all that a photo's file and what is beside it say) of each photo."""
    workers = os.cpu_count() or 1
    folders: dict[str, Mapping[str, PhotoMetadata]] = {}
    pool = DecoderPool(workers, DecodeOptions(()))
    try:
        with ThreadPoolExecutor(workers) as threads:
            for batch in _cut(_match_photos(photos), IMPORT_BATCH):
                names = {os.path.dirname(path) for path, _, _ in batch}
                folders = {name: folders.get(name) or _read_picasa_file(name, result) for name in names}
                own = threads.map(lambda path: _read_own(pool, path), [path for path, _, _ in batch])
                for (path, image_id, sidecars), record in zip(batch, own, strict=True):
                    beside = [_read_beside(os.path.join(os.path.dirname(path), name), result) for name in sidecars.own]
                    named = folders[os.path.dirname(path)].get(os.path.basename(path), PhotoMetadata())
                    yield image_id, merge([*beside, record, named])
    finally:
        pool.close()


def _cut(items: Iterable[tuple[str, int, _Sidecars]], n: int) -> Iterator[list[tuple[str, int, _Sidecars]]]:
    left = iter(items)
    while batch := list(itertools.islice(left, n)):
        yield batch


def _read_own(pool: DecoderPool, path: str) -> PhotoMetadata:
    try:
        return PhotoMetadata() if is_address(path) else pool.read_metadata(path)
    except Unreadable:
        return PhotoMetadata()


def _read_beside(path: str, result: ImportResult) -> PhotoMetadata:
    """A file beside a photo; empty where it can't be read, which the result then says."""
    try:
        found = _read_file(path)
        return PhotoMetadata() if found is None else read_sidecar(path, found[0])
    except NotTakeout:  # any program may write a .json
        return PhotoMetadata()
    except (UnreadableXmp, OSError) as error:
        result.skipped.append((path, str(error)))
        return PhotoMetadata()


def _read_picasa_file(folder: str, result: ImportResult) -> Mapping[str, PhotoMetadata]:
    for name in _list_names(folder):
        if name.lower() in picasa.NAMES:
            path = os.path.join(folder, name)
            try:
                found = _read_file(path)
                return {} if found is None else read_picasa(found[0])
            except (UnreadableXmp, OSError) as error:
                result.skipped.append((path, str(error)))
    return {}
