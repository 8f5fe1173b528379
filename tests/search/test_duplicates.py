"""Groups of photos against pairs that are compared all with all."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from photosearch.photos import fingerprint
from photosearch.search import duplicates
from photosearch.search.duplicates import ALONE, NEAR, Group, Member, Photo, find_groups, find_pairs, is_near
from photosearch.search.keeper import ROW

TURNED = 0x5A5A_0F0F_3333_1234


@dataclass(frozen=True)
class File(Photo):
    """id: as image_id. content: equal for equal bytes."""

    content: int = 0
    fingerprint: int | None = None


def make_photo(i: int, *, content: int | None = None, code: int | None = None, size=1000, width=100) -> File:
    return File(i, f"/p/{i}.jpg", size, width, 100, i if content is None else content, code)


def find_duplicates(photos, vectors=None, *, near=True, show_same=None) -> list[Group]:
    rows = np.zeros(len(photos), ROW)
    rows["photo_id"] = range(len(photos))
    for name, values in (
        ("image_id", [p.content for p in photos]), ("size_bytes", [p.size_bytes for p in photos]),
        ("width", [p.width for p in photos]), ("height", [p.height for p in photos]),
        ("fingerprint", np.array([p.fingerprint or 0 for p in photos], np.uint64)),
    ):  # fmt: skip
        rows[name] = values
    read = None if vectors is None else lambda places: vectors[places].astype(np.float32)
    groups = find_groups(rows, read, show_same, near=near)
    made = [Group(tuple(Member(photos[f.row], f.how, f.bits, f.cosine) for f in group)) for group in groups]
    return sorted(made, key=lambda group: (-len(group.members), -group.spare_bytes, group.members[0].photo.path))


def paths(groups) -> list[list[tuple[int, str]]]:
    return [[(member.photo.image_id, member.how) for member in group.members] for group in groups]


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(
    centres=st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4),
    changed=st.lists(st.tuples(st.integers(0, 3), st.sets(st.integers(0, 63), max_size=9)), max_size=60),
    bits=st.integers(0, 11),
    pairs_at_once=st.sampled_from([1, 7, 1 << 21]),
)
def test_find_pairs_misses_none_within_eleven_bits(centres, changed, bits, pairs_at_once):
    codes = [centres[c % len(centres)] ^ sum(1 << bit for bit in flips) for c, flips in changed]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "MAX_PAIRS", pairs_at_once)
        found = find_pairs(np.array(codes, np.uint64), bits)
    expected = [(i, j) for i, j in combinations(range(len(codes)), 2) if (codes[i] ^ codes[j]).bit_count() <= bits]
    assert [tuple(pair) for pair in found.tolist()] == expected


def test_find_pairs_looks_up_words_if_that_is_less_work():
    """Of 20,000 codes spread evenly, all pairs would be 200 million."""
    codes = np.random.default_rng(1).integers(0, 2**64, 20_000, dtype=np.uint64)
    codes[10_000:10_100] = codes[:100] ^ np.uint64(0b1_0001_0000_0100_0001)
    looked_at = sum(len(left) for left, _ in duplicates._candidates(codes, 2))
    assert looked_at < 5_000_000
    assert find_pairs(codes, 8).tolist() == [[i, 10_000 + i] for i in range(100)]


def test_find_pairs_of_equal_codes_costs_no_more_than_all_pairs():
    codes = np.arange(300, dtype=np.uint64)
    assert sum(len(left) for left, _ in duplicates._candidates(codes, 2)) == 300 * 299 // 2


def test_find_duplicates_groups_equal_contents_best_first():
    photos = [
        make_photo(1, content=7),
        make_photo(2, content=8),
        make_photo(3, content=7, width=200),
        make_photo(4, content=7, size=2000),
        make_photo(5, content=9),
        make_photo(6, content=8, size=5000),
    ]
    assert paths(find_duplicates(photos)) == [
        [(3, "kept"), (4, "same content"), (1, "same content")],
        [(6, "kept"), (2, "same content")],
    ]
    assert find_duplicates(photos)[0].spare_bytes == 3000


def test_find_duplicates_adds_copies_of_near_photos_nearest_first():
    photos = [
        make_photo(1, code=TURNED, width=300),
        make_photo(2, code=TURNED ^ 0b11, content=2),
        make_photo(3, code=TURNED ^ 0b11, content=2),
        make_photo(4, code=TURNED ^ 0b1),
        make_photo(5, code=TURNED ^ (2 ** (ALONE + 1) - 1)),
    ]
    (group,) = find_duplicates(photos)
    assert paths([group]) == [[(1, "kept"), (4, "near"), (2, "near"), (3, "near")]]
    assert [m.bits for m in group.members] == [None, 1, 2, 2]
    assert paths(find_duplicates(photos, near=False)) == [[(2, "kept"), (3, "same content")]]


def test_find_duplicates_does_not_chain_small_changes():
    step = 2**ALONE - 1
    photos = [make_photo(i, code=TURNED ^ (step << shift)) for i, shift in ((1, 0), (2, 40))]
    middle = make_photo(3, code=TURNED, width=50)
    assert paths(find_duplicates([*photos, middle])) == [[(1, "kept"), (3, "near")]]


def is_alike(a: File, b: File) -> bool:
    told = 0 not in (a.fingerprint, b.fingerprint)
    return a.content == b.content or (told and (a.fingerprint ^ b.fingerprint).bit_count() <= ALONE)


def make_vectors(*cosines: float) -> np.ndarray:
    """The first as it is, each other at that cosine to it; NaN for one without a vector."""
    return np.array([[1, 0, 0], *([c, np.sqrt(1 - c * c), 0] for c in cosines)], np.float16)


@pytest.mark.parametrize(
    ("bits", "cosine", "near"),
    [
        (0, 0.48, False),
        (5, 0.52, True),
        (6, 0.89, False),
        (6, 0.91, True),
        (10, 0.91, True),
        (11, 0.93, False),
        (11, 0.95, True),
        (20, 0.95, True),
        (21, 0.999, False),
        (4, float("nan"), True),
        (5, float("nan"), False),
    ],
)
def test_is_near_uses_fingerprint_and_vector(bits, cosine, near):
    photos = [make_photo(1, code=TURNED, width=300), make_photo(2, code=TURNED ^ (2**bits - 1))]
    assert bool(find_duplicates(photos, make_vectors(cosine))) is near
    assert is_near(bits, None if np.isnan(cosine) else cosine) is near


def test_find_duplicates_compares_plain_images_byte_for_byte():
    photos = [make_photo(1, code=0), make_photo(2, code=0), make_photo(3), make_photo(4), make_photo(5, content=4)]
    assert duplicates.PLAIN == fingerprint.PLAIN
    assert paths(find_duplicates(photos, make_vectors(1, 1, 1, 1))) == [[(4, "kept"), (5, "same content")]]


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sets(st.integers(0, 63), max_size=7), st.integers(0, 6), st.integers(1, 3)),
        max_size=30,
    )
)
def test_find_duplicates_equals_comparison_of_all_pairs(made):
    photos = [
        make_photo(
            i, content=content, code=[0, TURNED, ~TURNED % 2**64, 3**40][centre] ^ sum(1 << b for b in flips), width=w
        )
        for i, (centre, flips, content, w) in enumerate(made)
    ]
    photos = [p for p in photos if p.fingerprint == next(q.fingerprint for q in photos if q.content == p.content)]
    best = sorted(photos, key=lambda p: (-p.width, p.image_id))
    expected, taken = set(), set()
    for kept in best:
        group = {p.path for p in best if is_alike(kept, p)} - taken
        if kept.path in group and len(group) > 1:
            expected.add((kept.path, frozenset(group)))
        if kept.path in group:
            taken |= group
    found = find_duplicates(photos)
    assert {(g.members[0].photo.path, frozenset(m.photo.path for m in g.members)) for g in found} == expected
    assert sorted(map(len, (g.members for g in found)), reverse=True) == [len(g.members) for g in found]


def test_find_duplicates_groups_a_thousand_equal_fingerprints():
    photos = [File(i, f"/p/{i}", 1, 1, 1, i, TURNED) for i in range(1000)]
    assert [len(group.members) for group in find_duplicates(photos)] == [1000]


def test_vector_sketches_find_nearly_all_pairs_at_threshold():
    """2,000 pairs at a cosine of 0.95 among 4,000, told by the last step: the random planes may lose a few."""
    rng = np.random.default_rng(1)
    first = rng.standard_normal((2000, 64))
    aside = rng.standard_normal((2000, 64))
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    aside -= (aside * first).sum(1, keepdims=True) * first
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    vectors = np.concatenate([first, 0.95 * first + np.sqrt(1 - 0.95**2) * aside]).astype(np.float16)
    codes = rng.integers(1, 2**63, 2000, dtype=np.uint64).tolist()
    codes += [code ^ (2 ** (NEAR[-2][0] + 2) - 1) for code in codes]
    photos = [File(i, f"/p/{i}", 1, 1, 1, i, code) for i, code in enumerate(codes)]
    found = find_duplicates(photos, vectors)
    right = [g for g in found if len({m.photo.image_id % 2000 for m in g.members}) == 1]
    assert len(right) == len(found) >= 1900


def test_find_duplicates_loses_no_pair_of_a_step_that_goes_by_fingerprints():
    """Of 4,000, 2,000 pairs at the most bits and about the least cosine of the step before the last."""
    rng = np.random.default_rng(1)
    bits, cosine = NEAR[-2][0], NEAR[-2][1] + 0.01
    first = np.linalg.qr(rng.standard_normal((2000, 64, 2)))[0]
    vectors = np.concatenate([first[..., 0], cosine * first[..., 0] + np.sqrt(1 - cosine**2) * first[..., 1]])
    codes = rng.integers(1, 2**63, 2000, dtype=np.uint64).tolist()
    codes += [code ^ sum(1 << int(bit) for bit in rng.permutation(63)[:bits]) for code in codes]
    photos = [File(i, f"/p/{i}", 1, 1, 1, i, code) for i, code in enumerate(codes)]
    found = find_duplicates(photos, vectors.astype(np.float16))
    assert {frozenset(m.photo.image_id for m in g.members) for g in found} == {
        frozenset((i, i + 2000)) for i in range(2000)
    }


def test_find_duplicates_of_none_or_one_photo_is_empty():
    assert find_duplicates([]) == []
    assert find_duplicates([make_photo(1, code=5)], np.ones((1, 3), np.float16)) == []
