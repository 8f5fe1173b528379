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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt

from photosearch.photos.fingerprint import PLAIN
from photosearch.search.keeper import Places, Rows, rank

# Steps of (maximum of differing bits, minimum cosine of the vectors); and the maximum of bits where one of the photos
# has no vector. `python -m benchmarks duplicates` chooses NEAR on other photographs than it reports on. All steps but
# the last have at most 11 bits, so that fingerprints find their pairs. ALONE is below NEAR's first step, since no
# vector confirms it: two drawings of the yin and yang sign differ in 5 bits.
NEAR = ((5, 0.5), (10, 0.9), (20, 0.94))
ALONE = 4
# Sketches of vectors at a cosine of 0.94 hardly ever differ in more bits: 64 * acos(0.94) / pi is 7.1, and twice that
# after the mean vector is subtracted, as in `_sketch`.
SKETCH_BITS = 22
WORDS, WORD_BITS, FLIPS = 4, 16, 2
MAX_EXHAUSTIVE = 2000  # vectors; of up to so few, all pairs are compared
MAX_PAIRS = 1 << 19  # compared at once: 30 MB

MAX_COSINES = 4096  # computed at once: 20 MB

Codes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
How = Literal["kept", "same content", "near", "raw pair", "edited copy", "live photo"]
SPARE = ("same content", "near")
ReadVectors = Callable[[Places], Floats]  # rows [n] -> [n, D] of unit length, NaN where one has no vector
ShowSame = Callable[[int, Sequence[int]], Sequence[bool]]  # (row, rows near to it) -> which show the same in detail


@dataclass(frozen=True, slots=True)
class Photo:
    """A file. width, height: upright, in pixels."""

    image_id: int
    path: str
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Member:
    """A photo of a group. how: related to the photo to keep. bits: in which their fingerprints differ; cosine: of their
    vectors; None where one of the two has none. reason: why it is the one to keep, why it is spare, or why not.

    Not spare is what is one thing with a photo that stays: a "raw pair" (the raw file, or its JPEG), an "edited copy"
    that a phone put beside its original, or the original; nor a "live photo" where the one to keep has no video.
    """

    photo: Photo
    how: How
    bits: int | None = None
    cosine: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """members: the photo to keep, then its copies, then the near ones, nearest first."""

    members: tuple[Member, ...]

    @property
    def reason(self) -> str:
        """Why the first photo is the one to keep: 'larger; has GPS'."""
        return self.members[0].reason

    @property
    def spare(self) -> list[Member]:
        """The photos that need not be kept."""
        return [member for member in self.members if member.how in SPARE]

    @property
    def spare_bytes(self) -> int:
        return sum(member.photo.size_bytes for member in self.spare)


@dataclass(frozen=True, slots=True)
class Found:
    """A row of a group, and how it relates to the group's first, as in Member."""

    row: int
    how: How
    bits: int | None = None
    cosine: float | None = None


def find_groups(
    rows: Rows,
    read_vectors: ReadVectors | None = None,
    show_same: ShowSame | None = None,
    *,
    near: bool = True,
    ranked: Places | None = None,
) -> list[list[Found]]:
    """Groups of two or more, in the order of the photos to keep.

    rows: [n] of keeper.ROW. near: False for the same content alone. ranked: all rows, the best to keep first; default:
    as keeper.py ranks them. Takes about 100 bytes a photo besides the rows and the groups.
    """
    ranked = rank(rows) if ranked is None else ranked
    copies = _Buckets(_number(rows["image_id"][ranked]))  # by content, the best first
    firsts = ranked[copies.members[copies.starts[:-1]]]
    near_to = _Neighbours(rows["fingerprint"][firsts], firsts, read_vectors) if near else None
    looked_at = np.diff(copies.starts) > 1
    if near_to is not None:
        looked_at |= near_to.some
    groups, taken = [], np.zeros(len(firsts), np.bool_)
    for kept in np.flatnonzero(looked_at).tolist():
        if taken[kept]:
            continue
        taken[kept] = True
        same = ranked[copies[kept]].tolist()
        group = [Found(row, "same content" if n else "kept") for n, row in enumerate(same)]
        found = near_to.find(kept, taken) if near_to is not None else []
        if found and show_same is not None:
            kept_ones = show_same(same[0], [int(firsts[other]) for other, _, _ in found])
            found = [each for each, is_same in zip(found, kept_ones, strict=True) if is_same]
        for other, bits, cosine in found:
            taken[other] = True
            group += [Found(row, "near", bits, cosine) for row in ranked[copies[other]].tolist()]
        if len(group) > 1:
            groups.append(group)
    return groups


def _number(keys: npt.NDArray[np.int64]) -> Places:
    """Equal keys have one number; numbers rise in the order in which keys first occur."""
    _, first, of = np.unique(keys, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.intp)
    number[np.argsort(first)] = np.arange(len(first))
    return number[of]


class _Buckets:
    """For each number the places that have it, in order: members[starts[number] : starts[number + 1]]."""

    def __init__(self, numbers: Places, n: int | None = None):
        self.members: Places = np.argsort(numbers, kind="stable")
        self.starts = np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=n or 0))])

    def __getitem__(self, number: int) -> Places:
        return self.members[self.starts[number] : self.starts[number + 1]]


class _Graph:
    """For each of n, those that a pair joins it to."""

    def __init__(self, pairs: Places, n: int):
        self._to = np.concatenate([pairs[:, 1], pairs[:, 0]])
        self._buckets = _Buckets(np.concatenate([pairs[:, 0], pairs[:, 1]]), n)

    def __getitem__(self, one: int) -> Places:
        return self._to[self._buckets[one]]

    @property
    def some(self) -> Flags:
        """[n]: which are joined to any."""
        return np.diff(self._buckets.starts) > 0


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

    def __init__(self, codes: Codes, rows: Places, read_vectors: ReadVectors | None):
        """codes: of the contents [n]; rows: [n], for read_vectors."""
        self._codes, self._rows, self._read_vectors = codes, rows, read_vectors
        distinct, self._of = np.unique(codes, return_inverse=True)
        self._contents = _Buckets(self._of, len(distinct))
        alike = find_pairs(distinct, ALONE if read_vectors is None else NEAR[-2][0])
        self._alike = _Graph(alike[(distinct[alike] != PLAIN).all(1)], len(distinct))
        by_vector = np.empty((0, 2), np.intp) if read_vectors is None else self._find_pairs_by_vector(read_vectors)
        self._by_vector = _Graph(by_vector, len(codes))
        several = (np.diff(self._contents.starts) > 1) | self._alike.some
        self.some: Flags = (several[self._of] & (codes != PLAIN)) | self._by_vector.some  # which may have neighbours

    def find(self, kept: int, taken: Flags) -> list[tuple[int, int, float | None]]:
        """(content, bits, cosine) of the neighbours that are not in a group yet, nearest first."""
        near = [self._by_vector[kept]]
        if self._codes[kept] != PLAIN:
            own = int(self._of[kept])
            near += [self._contents[code] for code in (own, *self._alike[own].tolist())]
        others = np.unique(np.concatenate(near))
        others = others[~taken[others]]
        bits = np.bitwise_count(self._codes[others] ^ self._codes[kept]).tolist()
        cosines = self._cosines(kept, others)
        found = zip(others.tolist(), bits, cosines, strict=True)
        sure = [(other, n, cosine) for other, n, cosine in found if is_near(n, cosine)]
        return sorted(sure, key=lambda near: (near[1], -(near[2] or 0), near[0]))

    def _cosines(self, kept: int, others: Places) -> list[float | None]:
        if self._read_vectors is None or not len(others):
            return [None] * len(others)
        (unit,) = self._read_vectors(self._rows[[kept]])
        parts = [others[i : i + MAX_COSINES] for i in range(0, len(others), MAX_COSINES)]
        cosines = np.concatenate([self._read_vectors(self._rows[part]) @ unit for part in parts])
        return [None if np.isnan(cosine) else float(cosine) for cosine in cosines]

    def _find_pairs_by_vector(self, read_vectors: ReadVectors) -> Places:
        """Pairs that are near, looked up by their vectors, for the last step.

        Random planes may miss a pair; of MAX_EXHAUSTIVE vectors or fewer, none is missed.
        """
        there, sketches = _sketch(self._rows, self._codes, read_vectors)
        found = [np.empty((0, 2), np.intp)]
        for left, right in _candidates(sketches, FLIPS):
            close = np.bitwise_count(sketches[left] ^ sketches[right]) <= SKETCH_BITS
            a, b = there[left[close]], there[right[close]]
            bits = np.bitwise_count(self._codes[a] ^ self._codes[b])
            close = bits <= NEAR[-1][0]
            a, b, bits = a[close], b[close], bits[close]
            for first in range(0, len(a), MAX_COSINES):
                part = slice(first, first + MAX_COSINES)
                c, d, n = a[part], b[part], bits[part]
                cosines = np.vecdot(read_vectors(self._rows[c]), read_vectors(self._rows[d]))
                close = np.any([(n <= max_bits) & (cosines >= least) for max_bits, least in NEAR], axis=0)
                found.append(np.sort(np.stack([c, d], axis=1)[close], axis=1))
        return np.unique(np.concatenate(found), axis=0)


def _sketch(rows: Places, codes: Codes, read_vectors: ReadVectors) -> tuple[Places, Codes]:
    """-> (which are not plain and have a vector, on which side of 64 random planes through their middle each lies).

    Of MAX_EXHAUSTIVE or fewer, all lie on one side of all.
    """
    sample = read_vectors(rows[:: max(1, len(rows) // MAX_COSINES)])
    planes = np.random.default_rng(0).standard_normal((sample.shape[1], 64), np.float32)
    known = sample[~np.isnan(sample[:, 0])]
    middle = (known.mean(0) if len(known) else np.zeros(sample.shape[1], np.float32)) @ planes
    there, sides = [np.empty(0, np.intp)], [np.empty((0, 8), np.uint8)]
    for first in range(0, len(rows), MAX_COSINES):
        units = read_vectors(rows[first : first + MAX_COSINES])
        some = np.flatnonzero((codes[first : first + MAX_COSINES] != PLAIN) & ~np.isnan(units[:, 0]))
        there.append(first + some)
        sides.append(np.packbits(units[some] @ planes > middle, axis=1))
    places, sketches = np.concatenate(there), np.concatenate(sides).view(np.uint64)[:, 0]
    return places, np.zeros_like(sketches) if len(places) <= MAX_EXHAUSTIVE else sketches


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
