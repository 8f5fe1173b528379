"""Which files of a folder belong together, by their names alone: a photo is more than one file.

Photos that are one thing: a raw file and the JPEG of its name; a photo and the edited copy that a phone put beside it,
IMG_E1234.JPG, PXL_1~2.jpg, photo-edited.jpg. Files that go with photos: XMP and JSON side-cars
(metadata/sidecars.py), Apple's list of edits (IMG_1234.AAE), and the video of a Live Photo, which has the photo's name.
Letter case does not count.
"""

import contextlib
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Literal

from photosearch.metadata import sidecars
from photosearch.photos import walk

VIDEOS = (".mov", ".mp4")  # Apple's, and those of Google Photos' export and of other phones
RAW = frozenset((*walk.RAW_EXTENSIONS, *sidecars.RAW_EXTENSIONS))
PHOTOS = walk.EXTENSIONS | walk.INSTALL_HINTS.keys() | RAW
_APPLE_EDIT = re.compile(r"(img_)[eo](\d+)\Z")  # IMG_E1234 is what was made of IMG_1234, IMG_O1234.AAE how
_PHONE_EDIT = re.compile(rf"(.+?)(?:~\d{{1,2}}|{'|'.join(map(re.escape, sidecars.EDITED))})\Z", re.DOTALL)

Kind = Literal["raw pair", "edited copy"]


def is_raw(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in RAW


def find_original_stem(stem: str) -> str | None:
    """The name, in lower case, of the photo that a phone made an edited copy of; None where it is not so named."""
    stem = stem.casefold()
    if found := _APPLE_EDIT.match(stem):
        return found[1] + found[2]
    return found[1] if (found := _PHONE_EDIT.match(stem)) else None


class Things:
    """The files of one folder. names: all that are in it, without folders."""

    def __init__(self, names: Iterable[str]):
        self._photos: defaultdict[str, list[str]] = defaultdict(list)  # by name without extension, in lower case
        self._beside: defaultdict[str, list[str]] = defaultdict(list)  # videos and lists of edits
        self._others: list[str] = []
        self._edits: defaultdict[str, list[str]] = defaultdict(list)  # the original's name -> edited copies
        for name in sorted(names):
            stem, extension = os.path.splitext(name)
            if extension.lower() in PHOTOS:
                self._photos[stem.casefold()].append(name)
                if (original := find_original_stem(stem)) is not None:
                    self._edits[original].append(name)
            elif extension.lower() in (*VIDEOS, ".aae"):
                self._beside[stem.casefold()].append(name)
            else:
                self._others.append(name)

    def find_partners(self, photo: str) -> dict[str, Kind]:
        """The photos that are one thing with this one, and why."""
        stem = _stem(photo)
        original = find_original_stem(stem)
        edited = [*self._edits.get(stem, ()), *(self._photos.get(original, ()) if original is not None else ())]
        found: dict[str, Kind] = {other: "edited copy" for other in edited if other != photo}
        found |= {other: "raw pair" for other in self._photos.get(stem, ()) if is_raw(other) != is_raw(photo)}
        return found

    def find_video(self, photo: str) -> str | None:
        """The video of a Live Photo."""
        return next((name for name in self._beside.get(_stem(photo), ()) if name.lower().endswith(VIDEOS)), None)

    def find_files(self, photo: str) -> dict[str, frozenset[str]]:
        """The files that go with a photo -> all photos that each of them goes with."""
        return {name: self._owners[name] for name in self._files.get(photo, ())}

    @cached_property
    def _files(self) -> Mapping[str, list[str]]:
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name, photos in self._owners.items():
            for photo in photos:
                found[photo].append(name)
        return found

    @cached_property
    def _owners(self) -> Mapping[str, frozenset[str]]:
        found: defaultdict[str, set[str]] = defaultdict(set)
        for stem, beside in self._beside.items():
            for name in beside:
                found[name].update(self._photos.get(stem, ()))
                if name.lower().endswith(".aae") and (apple := _APPLE_EDIT.match(stem)):
                    found[name].update(self._photos.get(f"{apple[1]}e{apple[2]}", ()))
        photos = [name for some in self._photos.values() for name in some]
        for photo, names in sidecars.match_sidecars(photos, self._others).items():
            for name in names:
                found[name].add(photo)
        for name in self._others:  # photo.xmp beside several photos of its name, none of which it is known to be of
            if name.lower().endswith(".xmp") and name not in found:
                found[name].update(self._photos.get(_stem(name), ()))
        return {name: frozenset(photos) for name, photos in found.items() if photos}


def list_things(folder: str, known: Iterable[str] = ()) -> Things:
    """What is in a folder now. known: names that are in it even where it can't be listed. Nothing is opened."""
    names = set(known)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:  # an address, or a drive that is away
        names |= {entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)}
    return Things(names)


def _stem(name: str) -> str:
    return os.path.splitext(name)[0].casefold()
