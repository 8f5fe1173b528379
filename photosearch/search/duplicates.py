"""Duplicate photos: the same file twice, or the same picture in another size, encoding or crop.

Two photos are near if
- their contents are equal, byte for byte; or
- their fingerprints (photos/fingerprint.py) differ in few bits, and their vectors are not dissimilar; or
- their fingerprints differ in more bits, and their vectors are very similar: the more bits, the more similar. A model
  alone would call two photos of a dog the same; a fingerprint alone misses a crop, or one shot of a burst.
Not all pairs are compared. 64 bits are cut into four words of 16: two that differ in at most 11 bits have a
word in which they differ in at most two, so that looking up each word and its 136 neighbours finds them all. Norouzi,
Punjani and Fleet, "Fast exact search in Hamming space with multi-index hashing" (2014). For vectors, the 64 bits are
the sides of random planes on which they lie (Charikar, "Similarity estimation techniques from rounding algorithms",
2002), which finds nearly all of them.

A group is the photo to keep and the photos near to it. Photos that are near only to each other's neighbours are in
different groups, so that a chain of small changes does not end at another picture. Nothing is deleted here.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from photosearch.photos.fingerprint import PLAIN

# Steps of (maximum of differing bits, minimum cosine of the vectors); and the maximum of bits where one of the photos
# has no vector. `python -m benchmarks duplicates` chooses NEAR on other photographs than it reports on. All steps but
# the last have at most 11 bits, so that fingerprints find their pairs. ALONE is below NEAR's first step, since no
# vector confirms it: two drawings of the yin and yang sign differ in 5 bits.
NEAR = ((5, 0.5), (11, 0.88), (18, 0.93))
ALONE = 4
# Sketches of vectors at a cosine of 0.93 hardly ever differ in more bits: 64 * acos(0.93) / pi is 7.7, and twice that
# after the mean vector is subtracted, as in `_sketch`.
SKETCH_BITS = 22
WORDS, WORD_BITS, FLIPS = 4, 16, 2
MAX_EXHAUSTIVE = 2000  # vectors; of up to so few, all pairs are compared
MAX_PAIRS = 1 << 21  # compared at once: 80 MB

Codes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.intp]
Vectors = npt.NDArray[np.floating]
How = Literal["kept", "same content", "near"]


@dataclass(frozen=True, slots=True)
class Photo:
    """A file. width, height: upright, in pixels. content: the hash of its bytes. fingerprint: None: unknown."""

    image_id: int
    path: str
    size_bytes: int
    width: int
    height: int
    content: bytes
    fingerprint: int | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A photo of a group. how: related to the photo to keep. bits: in which their fingerprints differ; cosine: of their
    vectors; None where one of the two has none."""

    photo: Photo
    how: How
    bits: int | None = None
    cosine: float | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """members: the photo to keep, then its copies, then the near ones, nearest first."""

    members: tuple[Member, ...]

    @property
    def spare_bytes(self) -> int:
        """Size of all photos but the first."""
        return sum(member.photo.size_bytes for member in self.members[1:])


def find_duplicates(
    photos: Sequence[Photo],
    vectors: Vectors | None = None,
    *,
    near: bool = True,
) -> list[Group]:
    """Groups of two or more, the largest first: by the number of photos, then by spare bytes.

    vectors: [len(photos), D] of unit length, a row of NaN for a photo without one; or None. near: False for the same
    content alone. The photo to keep has the most pixels of its group, then the most bytes, then the first path.
    """
    ranked = sorted(range(len(photos)), key=lambda i: _quality(photos[i]))
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for i in ranked:
        by_content[photos[i].content].append(i)
    copies = list(by_content.values())  # the best content first
    firsts = [same[0] for same in copies]
    codes = np.array([photos[i].fingerprint or PLAIN for i in firsts], np.uint64)
    units = None if vectors is None else vectors[firsts]
    near_to = _Neighbours(codes, units) if near else None
    groups, taken = [], np.zeros(len(firsts), np.bool_)
    for kept, same in enumerate(copies):
        if taken[kept]:
            continue
        taken[kept] = True
        members = [Member(photos[i], "same content" if n else "kept") for n, i in enumerate(same)]
        for other, bits, cosine in near_to.find(kept, taken) if near_to else ():
            taken[other] = True
            members += [Member(photos[i], "near", bits, cosine) for i in copies[other]]
        if len(members) > 1:
            groups.append(Group(tuple(members)))
    return sorted(groups, key=lambda group: (-len(group.members), -group.spare_bytes, group.members[0].photo.path))


def find_pairs(codes: Codes, bits: int) -> Places:
    """The pairs (i, j), i < j, [n, 2], of 64-bit codes that differ in at most `bits` bits, each once, in order.

    All of them up to 11 bits; of more, those with one of four words in which they differ in at most two.
    """
    found = [np.empty((0, 2), np.intp)]
    for left, right in _candidates(codes, min(bits // WORDS, FLIPS)):
        close = np.bitwise_count(codes[left] ^ codes[right]) <= bits
        found.append(np.sort(np.stack([left[close], right[close]], axis=1), axis=1))
    return np.unique(np.concatenate(found), axis=0)


def is_near(bits: int, cosine: float | None) -> bool:
    """Whether two photos, neither of them plain, are near by one of NEAR's steps."""
    if cosine is None:
        return bits <= ALONE
    return any(bits <= max_bits and cosine >= min_cosine for max_bits, min_cosine in NEAR)


class _Neighbours:
    """The near neighbours of contents, which are numbered from the best down.

    Contents with equal fingerprints are stored together, so that a thousand of them are not half a million pairs.
    """

    def __init__(self, codes: Codes, units: Vectors | None):
        self._codes, self._units = codes, units
        distinct, self._of = np.unique(codes, return_inverse=True)
        self._contents = np.split(np.argsort(self._of, kind="stable"), np.cumsum(np.bincount(self._of))[:-1])
        self._alike: dict[int, list[int]] = defaultdict(list)  # of distinct codes
        for a, b in find_pairs(distinct, ALONE if units is None else NEAR[-2][0]).tolist():
            if PLAIN not in (distinct[a], distinct[b]):
                self._alike[a].append(b)
                self._alike[b].append(a)
        self._by_vector: dict[int, list[int]] = defaultdict(list)  # of contents
        if units is not None:
            for i, j in _find_pairs_by_vector(codes, units).tolist():
                self._by_vector[i].append(j)
                self._by_vector[j].append(i)

    def find(self, kept: int, taken: npt.NDArray[np.bool_]) -> list[tuple[int, int, float | None]]:
        """(content, bits, cosine) of the neighbours that are not in a group yet, nearest first."""
        near, own = set(self._by_vector.get(kept, ())), int(self._of[kept])
        if self._codes[kept] != PLAIN:
            for code in (own, *self._alike.get(own, ())):
                left = self._contents[code] = self._contents[code][~taken[self._contents[code]]]
                near.update(left.tolist())
        found = [(other, self._bits(kept, other), self._cosine(kept, other)) for other in near if not taken[other]]
        sure = [(other, bits, cosine) for other, bits, cosine in found if is_near(bits, cosine)]
        return sorted(sure, key=lambda near: (near[1], -(near[2] or 0), near[0]))

    def _bits(self, a: int, b: int) -> int:
        return int(self._codes[a] ^ self._codes[b]).bit_count()

    def _cosine(self, a: int, b: int) -> float | None:
        if self._units is None:
            return None
        cosine = float(self._units[a].astype(np.float32) @ self._units[b].astype(np.float32))
        return None if np.isnan(cosine) else cosine


def _quality(photo: Photo) -> tuple[int, int, str]:
    """Sorts the best first."""
    return -photo.width * photo.height, -photo.size_bytes, photo.path


def _find_pairs_by_vector(codes: Codes, units: Vectors) -> Places:
    """Pairs that are near, looked up by their vectors, for the last step.

    Random planes may miss a pair; of MAX_EXHAUSTIVE vectors or fewer, none is missed.
    """
    there = np.flatnonzero((codes != PLAIN) & ~np.isnan(units[:, 0]))
    found = [np.empty((0, 2), np.intp)]
    if len(there) > 1:
        sketches = _sketch(units[there]) if len(there) > MAX_EXHAUSTIVE else np.zeros(len(there), np.uint64)
        for left, right in _candidates(sketches, FLIPS):
            close = np.bitwise_count(sketches[left] ^ sketches[right]) <= SKETCH_BITS
            a, b = there[left[close]], there[right[close]]
            bits = np.bitwise_count(codes[a] ^ codes[b])
            close = bits <= NEAR[-1][0]
            a, b, bits = a[close], b[close], bits[close]
            cosines = np.vecdot(units[a].astype(np.float32), units[b].astype(np.float32))
            close = np.any([(bits <= max_bits) & (cosines >= min_cosine) for max_bits, min_cosine in NEAR], axis=0)
            found.append(np.sort(np.stack([a, b], axis=1)[close], axis=1))
    return np.unique(np.concatenate(found), axis=0)


def _sketch(units: Vectors) -> Codes:
    """On which side of 64 random planes through their middle vectors [n, D] lie: [n] codes."""
    planes = np.random.default_rng(0).standard_normal((units.shape[1], 64), np.float32)
    middle = units[:: max(1, len(units) // 10_000)].astype(np.float32).mean(0) @ planes
    sides = [some.astype(np.float32) @ planes > middle for some in np.array_split(units, 1 + len(units) // 4096)]
    return np.packbits(np.concatenate(sides), axis=1).view(np.uint64)[:, 0]


def _candidates(codes: Codes, flips: int) -> Iterator[tuple[Places, Places]]:
    """Pairs of indexes of codes of which one word differs in at most `flips` bits; some pairs more than once.

    All pairs, where that is less work because many words are equal.
    """
    words = codes.view(np.uint16).reshape(len(codes), WORDS) if len(codes) else np.empty((0, WORDS), np.uint16)
    masks = [sum(1 << bit for bit in some) for n in range(flips + 1) for some in combinations(range(WORD_BITS), n)]
    number = [np.bincount(words[:, w], minlength=1 << WORD_BITS) for w in range(WORDS)]
    everyone = np.arange(1 << WORD_BITS)
    work = sum(int(n @ n[everyone ^ mask]) for n in number for mask in masks) // 2
    everyone = np.arange(len(codes))
    if work >= len(codes) ** 2 // 2:
        yield from _expand(everyone, everyone, everyone + 1, len(codes) - 1 - everyone)
        return
    for w in range(WORDS):
        order = np.argsort(words[:, w], kind="stable")
        keys = words[order, w].astype(np.intp)
        starts = np.cumsum(number[w]) - number[w]
        rest = starts[keys] + number[w][keys] - 1 - everyone  # behind each, those of its own word
        yield from _expand(order, order, everyone + 1, rest)
        for mask in masks[1:]:
            some = np.flatnonzero((keys < keys ^ mask) & (number[w][keys ^ mask] > 0))
            to = keys[some] ^ mask
            yield from _expand(order[some], order, starts[to], number[w][to])


def _expand(left: Places, order: Places, starts: Places, lengths: Places) -> Iterator[tuple[Places, Places]]:
    """Each of left with order[start : start + length], about MAX_PAIRS at a time."""
    ends = np.cumsum(lengths)
    begun = 0
    while begun < len(left):
        before = int(ends[begun] - lengths[begun])
        upto = max(begun + 1, int(np.searchsorted(ends, before + MAX_PAIRS, "right")))
        some = slice(begun, upto)
        shift = starts[some] - (ends[some] - lengths[some]) + before
        pairs = np.arange(int(ends[upto - 1]) - before)
        yield np.repeat(left[some], lengths[some]), order[pairs + np.repeat(shift, lengths[some])]
        begun = upto
