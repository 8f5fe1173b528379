"""Copies of one picture in a list of photos: the first stands for all, with their number.

Equal files share an image. Near duplicates are told by their fingerprints alone, so only those that differ in few bits
count; duplicates.py looks closer. Only the photos of the list are compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from photosearch.library.matching import Match

MAX_COMPARED = 300  # pictures; further ones are compared by their content alone
MAX_BITS = 4  # in which fingerprints of the same picture differ, as duplicates.py has it for photos without vectors
PLAIN = 0  # the fingerprint of an image without shapes, as in photos/fingerprint.py: not to be compared

ReadFingerprints = Callable[[Sequence[int]], Mapping[int, int]]


def fold_copies(photos: Sequence[Match], read_fingerprints: ReadFingerprints) -> list[Match]:
    """The photos without copies of earlier ones. read_fingerprints: image ids -> the fingerprints that are known."""
    images = list(dict.fromkeys(photo.image_id for photo in photos))
    prints = {i: bits for i, bits in read_fingerprints(images[:MAX_COMPARED]).items() if bits != PLAIN}
    first_of = {image: image for image in images}
    kept: list[int] = []
    for image in images[:MAX_COMPARED]:
        if image in prints:
            same = next((k for k in kept if (prints[k] ^ prints[image]).bit_count() <= MAX_BITS), None)
            if same is None:
                kept.append(image)
            else:
                first_of[image] = same
    counts: dict[int, int] = {}
    firsts: dict[int, Match] = {}
    for photo in photos:
        image = first_of[photo.image_id]
        firsts.setdefault(image, photo)
        counts[image] = counts.get(image, -1) + 1
    return [replace(photo, copies=counts[image]) for image, photo in firsts.items()]
