"""Keywords in side-cars: out of a library, for other programs; and into it, as truth. See metadata/xmp.py.

What goes out is what `find` finds and what was marked; a mark has the last word. A keyword that this tool wrote is
taken out again once its label holds no more, and what is no keyword of ours is never touched, nor is any photo.
"""

import contextlib
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from photosearch import atomic, query
from photosearch.errors import InputError
from photosearch.library import marks, matching
from photosearch.library.database import Database
from photosearch.library.labels import read_labels
from photosearch.library.photos import list_readable
from photosearch.library.records import Label
from photosearch.metadata import xmp
from photosearch.metadata.xmp import Sidecar, UnreadableXmp
from photosearch.photos.walk import RAW_EXTENSIONS
from photosearch.search import hierarchy
from photosearch.search.find import check_folder, find_labels
from photosearch.search.user_labels import check_name


@dataclass(frozen=True, slots=True)
class SidecarChange:
    """A side-car that was written, or would be. new: there was none. put, taken: keywords."""

    path: str
    new: bool
    put: tuple[str, ...]
    taken: tuple[str, ...]


@dataclass(slots=True)
class ExportResult:
    """same: how many side-cars say already what they should. left_alone: (side-car, why). absent: photos not there."""

    written: list[SidecarChange] = field(default_factory=list)
    same: int = 0
    left_alone: list[tuple[str, str]] = field(default_factory=list)
    absent: int = 0


@dataclass(slots=True)
class ImportResult:
    """marks: how many were kept. photos: how many have keywords or a rating. left_alone: (side-car, why).

    unknown: keyword that names no label -> how many photos have it.
    """

    marks: int = 0
    photos: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    left_alone: list[tuple[str, str]] = field(default_factory=list)


def export_keywords(
    db: Database, names: Sequence[str], *, under: str | None = None, model: str | None = None, marked: bool = False,
    short: bool = False, dry_run: bool = False,
) -> ExportResult:  # fmt: skip
    """Write labels as keywords beside the photos that show them. Raises QueryError, InputError.

    marked: only what was marked, not what is found. short: photo.xmp in place of photo.jpg.xmp. dry_run: write nothing.
    """
    if not names:
        raise InputError("say which labels to write; for example: photosearch export --xmp bird dog")
    labels = list(find_labels(db, names, model).values())
    folder = None if under is None else check_folder(db, under)
    shown = _find_shown(db, labels, folder, marked)
    trees = {label.name: _place_in_tree(label.name) for label in labels}
    told = ExportResult()
    photos = list(list_readable(db, folder))
    beside = _name_sidecars([path for path, _ in photos], short, told)
    for path, image_id in photos:
        to = beside.get(path)
        if to is None:
            continue
        wanted = {name: trees[name] for name in shown.get(image_id, ())}
        if wanted and not os.path.isfile(path):
            told.absent += 1
        elif wanted or os.path.lexists(to):
            _write(to, path, wanted, list(trees), told, dry_run)
    return told


def import_keywords(
    db: Database, *, under: str | None = None, new: Sequence[str] = (), complete: Sequence[str] = (),
    rated: Mapping[str, float] | None = None,
) -> ImportResult:  # fmt: skip
    """Keep keywords as marks: a photo shows the label that its keyword names. Raises InputError, QueryError.

    new: keywords that become labels of the user's own. complete: labels whose keyword is on every photo that shows
    them, so that a photo with other keywords and without it does not. rated: label -> the rating from which on a photo
    shows it; one with a lower rating does not. Keywords that this tool wrote are no truth and are passed over.
    """
    known = [label.name for label in read_labels(db)] + marks.list_marked_labels(db)
    own = [check_name(name) for name in [*new, *(rated or {})]]
    known = list(dict.fromkeys([*known, *own]))
    wanted_no = list(choose_names(complete, known))
    folder = None if under is None else check_folder(db, under)
    told, said = ImportResult(), dict[tuple[str, int], bool]()
    meant: dict[str, str | None] = {}
    photos = list(list_readable(db, folder))
    sharing = Counter(xmp.sidecar_path(path, short=True) for path, _ in photos)
    for path, image_id in photos:
        names = [xmp.sidecar_path(path)]
        if sharing[short := xmp.sidecar_path(path, short=True)] == 1 or _is_raw(path):
            names.append(short)
        read = _read_beside(path, names, told)
        if read is None:
            continue
        typed = _typed(read)
        told.photos += bool(typed or read.rating is not None)
        shows = set()
        for keyword in typed:
            label = meant.setdefault(keyword, hierarchy.find_label(keyword, known))
            if label is None:
                told.unknown[keyword] += 1
            else:
                shows.add(label)
        said |= {(label, image_id): True for label in shows}
        if typed:
            said |= {(label, image_id): False for label in wanted_no if label not in shows}
        if read.rating is not None:
            said |= {(label, image_id): read.rating >= least for label, least in (rated or {}).items()}
    marks.put_marks(db, ((label, image_id, present) for (label, image_id), present in said.items()))
    told.marks = len(said)
    return told


def choose_names(names: Iterable[str], known: Sequence[str]) -> Iterator[str]:
    """The labels that are meant. Raises QueryError."""
    for name in names:
        yield hierarchy.find_label(name, known) or query.resolve(name, known)


def _find_shown(db: Database, labels: Sequence[Label], folder: str | None, marked: bool) -> dict[int, list[str]]:
    """image id -> the labels that it shows, in their order."""
    shown: defaultdict[int, list[str]] = defaultdict(list)
    only = matching.filter_photos(db, folder, None, None)
    for label in labels:
        found = set()
        if not marked:
            found = set(matching.find_images(db, query.Is(label.name), {label.name: label}, None, only))
        for truth in marks.list_marks(db, label.name):
            (found.add if truth.present else found.discard)(truth.image_id)
        for image_id in found:
            shown[image_id].append(label.name)
    return shown


def _place_in_tree(name: str) -> str:
    """animal|bird|robin; a name that has nothing above it stands alone."""
    place = [name]
    parents = hierarchy.read_parents()
    while (above := parents.get(place[0])) and above[0] not in place:
        place.insert(0, above[0])
    return "|".join(part.replace("|", " ") for part in place)


def _name_sidecars(paths: Sequence[str], short: bool, told: ExportResult) -> dict[str, str]:
    """photo -> its side-car. One short name of several photos is the camera's raw file's, or nobody's."""
    beside = {path: xmp.sidecar_path(path, short=short) for path in paths}
    if not short:
        return beside
    sharing: defaultdict[str, list[str]] = defaultdict(list)
    for path, to in beside.items():
        sharing[to].append(path)
    for to, some in sharing.items():
        raw = [path for path in some if _is_raw(path)]
        if len(some) > 1:
            if len(raw) != 1:
                told.left_alone.append((to, f"it would belong to {len(some)} photos of that name"))
            for path in some:
                if [path] != raw:
                    del beside[path]
    return beside


def _write(
    to: str, photo: str, wanted: Mapping[str, str], managed: Sequence[str], told: ExportResult, dry_run: bool
) -> None:
    try:
        before = _read_file(to)
        data, put, taken = xmp.write_xmp(before[0] if before else None, wanted, managed)
        if before is not None and data == before[0]:
            told.same += 1
            return
        if before is None and not wanted:
            return
        if not dry_run:
            _replace(to, data, before)
        told.written.append(SidecarChange(to, before is None, tuple(put), tuple(taken)))
    except UnreadableXmp as error:
        told.left_alone.append((to, str(error)))
    except OSError as error:
        told.left_alone.append((to, error.strerror or str(error)))


def _read_file(path: str) -> tuple[bytes, os.stat_result] | None:
    """A side-car that is there, and what it was like. Raises NotReadable, OSError."""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableXmp("it is a link, or no file")
    if status.st_size > xmp.MAX_BYTES:
        raise UnreadableXmp(f"it has more than {xmp.MAX_BYTES >> 20} MB")
    with open(path, "rb") as file:
        return file.read(xmp.MAX_BYTES + 1), status


def _replace(to: str, data: bytes, before: tuple[bytes, os.stat_result] | None) -> None:
    """Write aside and rename, where nobody wrote to it meanwhile. Raises NotReadable, OSError."""
    aside = f"{to}.part"  # a fixed name keeps a second export out between the check and the renaming
    try:
        with atomic.write_file(to, part=aside, overwrite=before is not None) as part:
            part.write_bytes(data)
            if before is not None:
                now = os.lstat(to)
                if (now.st_mtime_ns, now.st_size, now.st_ino) != (
                    before[1].st_mtime_ns, before[1].st_size, before[1].st_ino,
                ):  # fmt: skip
                    raise UnreadableXmp("another program wrote to it meanwhile")
    except FileExistsError as error:
        if error.filename == to:
            raise UnreadableXmp("another program wrote to it meanwhile") from None
        raise UnreadableXmp(
            f"{os.path.basename(aside)} is there, from a run that was killed, or runs; delete it"
        ) from None


def _read_beside(photo: str, names: Sequence[str], told: ImportResult) -> Sidecar | None:
    """What the first side-car of these names says that is there, else the photo's own packet; None without any."""
    for path in names:
        try:
            if (found := _read_file(path)) is not None:
                return xmp.read_xmp(found[0])
        except (UnreadableXmp, OSError) as error:
            told.left_alone.append((path, str(error)))
            return None
    with contextlib.suppress(UnreadableXmp, OSError):
        with open(photo, "rb") as file:
            packet = xmp.find_packet(file.read(xmp.PACKET_SCAN_BYTES))
        return None if packet is None else xmp.read_xmp(packet)
    return None


def _typed(read: Sidecar) -> list[str]:
    """The keywords that somebody typed, the last part of each place in a tree among them; not what this tool wrote."""
    every = (k.rpartition("|")[2].strip() for k in (*read.keywords, *read.tree) if k not in read.written)
    return [k for k in dict.fromkeys(every) if k and k not in read.written]


def _is_raw(photo: str) -> bool:
    """Whether Lightroom reads a side-car beside it: DNG keeps what it says inside."""
    extension = os.path.splitext(photo)[1].casefold()
    return extension in RAW_EXTENSIONS and extension != ".dng"
