"""From groups of like photos to what of them is spare: never a part of a thing of which another part stays.

A raw file and its JPEG, or a photo and a phone's edit of it, are spare together or not at all; a Live Photo is not
spare beside a photo without its video. Of equal files, one that belongs to such a thing is kept.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from photosearch.photos.remote import is_address
from photosearch.photos.things import Kind, Things, list_things
from photosearch.search.duplicates import SPARE, Found, How

REASONS: Mapping[How, str] = {  # why a photo that is like the one to keep is not spare
    "raw pair": "raw file and JPEG of one shot",
    "edited copy": "a photo and its edit of one phone",
    "live photo": "has its video beside it",
}
WHOLE = {"raw pair": "has its raw file or JPEG beside it", "edited copy": "has its edit or original beside it",
         "live photo": "has its video beside it"}  # fmt: skip  # why an equal file is the one to keep

LESS = "has less beside it"  # why an equal file is spare then


@dataclass(frozen=True, slots=True)
class Bound:
    """What a photo is one thing with: paths of photos, and whether it has a video."""

    partners: Mapping[str, Kind] = field(default_factory=dict)
    video: bool = False

    @property
    def kinds(self) -> list[How]:
        video: list[How] = ["live photo"] if self.video else []
        return [*dict.fromkeys(self.partners.values()), *video]


def read_bounds(paths: Iterable[str]) -> dict[str, Bound]:
    """path -> what it is one thing with, for those of which there is something. Each folder is listed once."""
    by_folder: defaultdict[str, list[str]] = defaultdict(list)
    for path in paths:
        by_folder[os.path.dirname(path)].append(os.path.basename(path))
    found = {}
    for folder, names in by_folder.items():
        things = Things(names) if is_address(folder) else list_things(folder, names)
        for name in names:
            partners = {os.path.join(folder, n): kind for n, kind in things.find_partners(name).items()}
            bound = Bound(partners, things.find_video(name) is not None)
            if bound.kinds:
                found[os.path.join(folder, name)] = bound
    return found


def choose_kept(group: Sequence[Found], paths: Sequence[str], bounds: Mapping[str, Bound]) -> tuple[int, str | None]:
    """The place in its group of the photo to keep, and why, where it isn't the first.

    Of the files equal to the first, the first that has most beside it.
    """
    kinds = [bounds[path].kinds if path in bounds else [] for path in paths]
    equal = [i for i, found in enumerate(group) if found.how in ("kept", "same content")]
    best = max(equal, key=lambda i: (len(kinds[i]), -i))
    more = [WHOLE[kind] for kind in kinds[best] if kind not in kinds[0]]
    return best, "; ".join(more) or None if best else None


def put_first(group: Sequence[Found], first: int) -> list[Found]:
    """The group with the file at this place, equal to the one to keep, in its place."""
    if not first:
        return list(group)
    kept, other = replace(group[first], how="kept"), replace(group[0], how="same content")
    return [kept, other, *group[1:first], *group[first + 1 :]]


def find_bound(groups: Sequence[Sequence[tuple[str, How]]], bounds: Mapping[str, Bound]) -> dict[str, How]:
    """The photos of all groups that are like the one to keep and yet not spare: path -> why.

    groups: (path, how) of each photo, the one to keep first.
    """
    kept = {path: group[0][0] for group in groups for path, how in group if how in SPARE}
    bound: dict[str, How] = {
        path: "live photo"
        for path, keeper in kept.items()
        if path in bounds and bounds[path].video and not (keeper in bounds and bounds[keeper].video)
    }
    spare = kept.keys() - bound.keys()
    waiting = list(spare)
    while waiting:
        path = waiting.pop()
        partners = bounds[path].partners if path in bounds and path in spare else {}
        stays = next((kind for other, kind in partners.items() if other not in spare), None)
        if stays is not None:
            bound[path] = stays
            spare.discard(path)
            waiting += [other for other in partners if other in spare]
    return bound
