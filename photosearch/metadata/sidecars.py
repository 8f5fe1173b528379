"""Which files beside photos belong to them, by their names alone: XMP side-cars and Google Takeout's JSON.

A side-car is photo.jpg.xmp, or photo.xmp where one photo, or one raw file among several photos, has that name. Google
Photos' export writes photo.jpg.json, photo.jpg.supplemental-metadata.json, either cut to 46 characters before .json,
with the (1) of photo(1).jpg there or before .json; photo-edited.jpg shares the file of photo.jpg. Extensions are
compared without case.
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from photosearch.metadata.record import PhotoMetadata, merge
from photosearch.metadata.takeout import MAX_BYTES as MAX_JSON_BYTES
from photosearch.metadata.takeout import NotTakeout, read_takeout
from photosearch.metadata.xmp import MAX_BYTES as MAX_XMP_BYTES
from photosearch.metadata.xmp import UnreadableXmp, read_xmp

EXTENSIONS = (".xmp", ".json")
# Besides a DNG, which holds its keywords itself: the files that Lightroom writes side-cars for.
RAW_EXTENSIONS = frozenset(
    ".cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .raf .orf .rw2 .pef .srw .3fr .iiq .x3f .raw".split()
)
MAX_STEM = 46  # characters of the name of a file of Google Takeout's, without .json
SUFFIX = "supplemental-metadata"
EDITED = "-edited -bearbeitet -modifié -editado -editada -modificato -bewerkt -edytowane -redigerad -編集済み".split()

_COUNT = re.compile(r"(.*)(\(\d{1,5}\))\Z", re.DOTALL)


def sidecar_path(photo: str, *, short: bool = False) -> str:
    """photo.jpg.xmp; short: photo.xmp."""
    return (os.path.splitext(photo)[0] if short else photo) + ".xmp"


def match_sidecars(photos: Collection[str], others: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """photo -> the names of the files that belong to it, XMP first; the same for videos, and raw files not read here.

    photos, others: the names in one folder.
    """
    some: list[str] = []
    rest: list[str] = []
    for name in others:
        (some if os.path.splitext(name)[1].lower() in EXTENSIONS else rest).append(name)
    if not some:
        return {}
    xmps, jsons = _index(some, ".xmp"), _index_takeout(_index(some, ".json"))
    sharing: defaultdict[str, list[str]] = defaultdict(list)
    for photo in (*photos, *(name for name in rest if is_raw(name))):
        sharing[os.path.splitext(photo)[0]].append(photo)
    found = {}
    for photo in (*photos, *rest):
        names = [_pick(photo, xmps)]
        if is_short_name_of(photo, sharing[os.path.splitext(photo)[0]]):
            names.append(_pick(os.path.splitext(photo)[0], xmps))
        names.append(next(filter(None, (_pick(key, jsons) for key in _list_takeout_names(photo))), None))
        if any(names):
            found[photo] = tuple(name for name in names if name is not None)
    return found


def is_short_name_of(photo: str, sharing: Sequence[str]) -> bool:
    """Whether photo.xmp belongs to this one of the photos that share it: the only one, or the only raw file."""
    raw = [other for other in sharing if is_raw(other)]
    return [photo] == (raw if len(sharing) > 1 else list(sharing))


def is_raw(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in RAW_EXTENSIONS


def max_bytes(name: str) -> int:
    """Of a file beside a photo; a longer one is not read."""
    return MAX_XMP_BYTES if name.lower().endswith(".xmp") else MAX_JSON_BYTES


def read_sidecar(name: str, data: bytes) -> PhotoMetadata:
    """Raises UnreadableXmp, NotTakeout."""
    return read_xmp(data) if name.lower().endswith(".xmp") else read_takeout(data)


def read_sidecars(files: Iterable[tuple[str, bytes]], own: PhotoMetadata) -> PhotoMetadata:
    """A photo's record with what the files beside it add. files: (name, bytes); the unreadable ones add nothing."""
    before: list[PhotoMetadata] = []
    after: list[PhotoMetadata] = []
    for name, data in files:
        try:
            (before if name.lower().endswith(".xmp") else after).append(read_sidecar(name, data))
        except (UnreadableXmp, NotTakeout):
            continue
    return merge([*before, own, *after]) if before or after else own


_Index = Mapping[str, Sequence[tuple[str, str]]]  # a name in lower case -> (the name that a file belongs to, the file)


def _index(names: Iterable[str], extension: str) -> dict[str, list[tuple[str, str]]]:
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(names):
        if name.lower().endswith(extension):
            stem = name[: -len(extension)]
            found[stem.casefold()].append((stem, name))
    return found


def _pick(name: str, index: _Index) -> str | None:
    """The file of this very name, else of one whose extension differs in case only."""
    some = index.get(name.casefold(), ())
    if (exact := next((file for stem, file in some if stem == name), None)) is not None:
        return exact
    own = os.path.splitext(name)[0]
    return next((file for stem, file in some if os.path.splitext(stem)[0] == own), None)


def _index_takeout(index: _Index) -> _Index:
    """By the photo's name, with a (1) moved behind the extension: photo.jpg(1)."""
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for stem, file in (pair for pairs in index.values() for pair in pairs):
        counted = _COUNT.match(stem)
        base, count = (counted[1], counted[2]) if counted else (stem, "")
        head, dot, tail = base.rpartition(".")
        if dot and head and SUFFIX.startswith(tail.lower()):
            base = head
        found[(base + count).casefold()].append((base + count, file))
    return found


def _list_takeout_names(photo: str) -> Iterable[str]:
    """The names under which a photo's JSON may be found, the likely ones first."""
    stem, extension = os.path.splitext(photo)
    counted = _COUNT.match(stem)
    base, count = (counted[1], counted[2]) if counted else (stem, "")
    plain = next((base[: -len(e)] for e in EDITED if base.lower().endswith(e)), None)
    for name, number in ((photo, ""), (base + extension, count), *(((plain + extension, count),) if plain else ())):
        yield name + number
        if len(name) > MAX_STEM - len(".s"):
            yield from (name[:n] + number for n in (MAX_STEM, MAX_STEM + 1, MAX_STEM - 1))
    yield stem  # a photo that was uploaded without an extension
