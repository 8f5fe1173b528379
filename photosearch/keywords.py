"""Keywords in sidecars: exported from a library for other programs, and imported as marks. See metadata/xmp.py.

The export writes what `find` finds and what was marked; a mark overrides. A keyword that this tool wrote is removed
once its label no longer holds. Other keywords are never changed, and no photo is ever written.
"""

import contextlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from photosearch import atomic, query
from photosearch.errors import InputError
from photosearch.library import marks, matching
from photosearch.library.database import Database
from photosearch.library.photos import list_readable
from photosearch.library.records import Label
from photosearch.metadata import xmp
from photosearch.metadata.xmp import Sidecar, UnreadableXmp
from photosearch.photos.remote import is_address
from photosearch.photos.walk import RAW_EXTENSIONS
from photosearch.search import hierarchy
from photosearch.search.label_names import check_label_name, match_label, resolve_label
from photosearch.search.labels import list_known_names, list_labels, pick_label
from photosearch.search.scope import check_folder


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
    short: bool = False, dry_run: bool = False,
) -> ExportResult:  # fmt: skip
    """Write labels as keywords to sidecars of the photos that show them. Raises QueryError, InputError.

    marked: only what was marked, not what is found. short: photo.xmp in place of photo.jpg.xmp. dry_run: write nothing.
    """
    if not names:
        raise InputError("say which labels to write; for example: photosearch keywords export bird dog")
    known = list_labels(db, model)
    labels = [pick_label(name, known) for name in names]
    folder = None if under is None else check_folder(db, under)
    shown = _find_shown(db, labels, folder, marked)
    trees = {label.name: _place_in_tree(label.name) for label in labels}
    result = ExportResult()
    photos, addresses = _split(list_readable(db, folder))
    result.remote = sum(image_id in shown for _, image_id in addresses)
    sidecars = _name_sidecars([path for path, _ in photos], short, result)
    for path, image_id in photos:
        sidecar = sidecars.get(path)
        if sidecar is None:
            continue
        keywords = {name: trees[name] for name in shown.get(image_id, ())}
        if keywords and not os.path.isfile(path):
            result.missing += 1
        elif keywords or os.path.lexists(sidecar):
            _write(sidecar, keywords, list(trees), result, dry_run)
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
    sharing = Counter(xmp.sidecar_path(path, short=True) for path, _ in photos)
    for path, image_id in photos:
        names = [xmp.sidecar_path(path)]
        if sharing[short := xmp.sidecar_path(path, short=True)] == 1 or _is_raw(path):
            names.append(short)
        sidecar = _read_sidecar(path, names, reader.result)
        if sidecar is not None:
            reader.add(image_id, sidecar)
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

    def add(self, image_id: int, sidecar: Sidecar) -> None:
        keywords = _list_typed(sidecar)
        self.result.photos += bool(keywords or sidecar.rating is not None)
        shown = set(filter(None, map(self._resolve, keywords)))
        self.marks |= {(label, image_id): True for label in shown}
        if keywords:
            self.marks |= {(label, image_id): False for label in self._complete if label not in shown}
        if sidecar.rating is not None:
            self.marks |= {(label, image_id): sidecar.rating >= least for label, least in self._rated.items()}

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


def _name_sidecars(paths: Sequence[str], short: bool, result: ExportResult) -> dict[str, str]:
    """photo -> its sidecar. A short name that several photos share belongs to the one raw file, or to none."""
    sidecars = {path: xmp.sidecar_path(path, short=short) for path in paths}
    if not short:
        return sidecars
    sharing: defaultdict[str, list[str]] = defaultdict(list)
    for path, sidecar in sidecars.items():
        sharing[sidecar].append(path)
    for sidecar, some in sharing.items():
        raw = [path for path in some if _is_raw(path)]
        if len(some) > 1:
            if len(raw) != 1:
                result.skipped.append((sidecar, f"it would belong to {len(some)} photos of that name"))
            for path in some:
                if [path] != raw:
                    del sidecars[path]
    return sidecars


def _write(
    sidecar: str, keywords: Mapping[str, str], managed: Sequence[str], result: ExportResult, dry_run: bool
) -> None:
    """Write one sidecar. keywords: name -> its place in the hierarchy. managed: the names that may be removed."""
    try:
        before = _read_file(sidecar)
        data, added, removed = xmp.write_xmp(before[0] if before else None, keywords, managed)
        if before is not None and data == before[0]:
            result.unchanged += 1
            return
        if before is None and not keywords:
            return
        if not dry_run:
            _replace(sidecar, data, before)
        result.written.append(SidecarChange(sidecar, before is None, tuple(added), tuple(removed)))
    except UnreadableXmp as error:
        result.skipped.append((sidecar, str(error)))
    except OSError as error:
        result.skipped.append((sidecar, error.strerror or str(error)))


def _read_file(path: str) -> tuple[bytes, os.stat_result] | None:
    """A sidecar's bytes and its status; None where there is none. Raises UnreadableXmp, OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableXmp("it is a link, or not a file")
    if status.st_size > xmp.MAX_BYTES:
        raise UnreadableXmp(f"it is larger than {xmp.MAX_BYTES >> 20} MB")
    with open(path, "rb") as file:
        return file.read(xmp.MAX_BYTES + 1), status


def _replace(path: str, data: bytes, before: tuple[bytes, os.stat_result] | None) -> None:
    """Write aside and rename, unless the sidecar has changed since it was read. Raises UnreadableXmp, OSError."""
    part = f"{path}.part"  # a fixed name keeps a second export out between the check and the renaming
    try:
        with atomic.write_file(path, part=part, overwrite=before is not None) as file:
            file.write_bytes(data)
            if before is not None and _identify(os.lstat(path)) != _identify(before[1]):
                raise UnreadableXmp("another program has changed it meanwhile")
    except FileExistsError as error:
        if error.filename == path:
            raise UnreadableXmp("another program has changed it meanwhile") from None
        raise UnreadableXmp(
            f"{os.path.basename(part)} exists: another run is writing it, or was killed; then delete it"
        ) from None


def _identify(status: os.stat_result) -> tuple[int, int, int]:
    """What changes when a file is written or replaced."""
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read_sidecar(photo: str, names: Sequence[str], result: ImportResult) -> Sidecar | None:
    """The first of these sidecars that exists, else the photo's own packet; None without any."""
    for path in names:
        try:
            if (found := _read_file(path)) is not None:
                return xmp.read_xmp(found[0])
        except (UnreadableXmp, OSError) as error:
            result.skipped.append((path, str(error)))
            return None
    with contextlib.suppress(UnreadableXmp, OSError):
        with open(photo, "rb") as file:
            packet = xmp.find_packet(file.read(xmp.PACKET_SCAN_BYTES))
        return None if packet is None else xmp.read_xmp(packet)
    return None


def _list_typed(sidecar: Sidecar) -> list[str]:
    """The keywords that somebody typed, and the last parts of places in a hierarchy; not what this tool wrote."""
    typed = (k.rpartition("|")[2].strip() for k in (*sidecar.keywords, *sidecar.tree) if k not in sidecar.written)
    return [k for k in dict.fromkeys(typed) if k and k not in sidecar.written]


def _is_raw(photo: str) -> bool:
    """Whether Lightroom reads a sidecar of the file: a DNG holds its keywords itself."""
    extension = os.path.splitext(photo)[1].casefold()
    return extension in RAW_EXTENSIONS and extension != ".dng"
