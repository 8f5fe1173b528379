"""What is never spare because it is one thing with what stays."""

from itertools import pairwise

from photosearch.search.spare import Bound, find_bound


def test_find_bound_follows_partners_of_partners():
    """Nine photos, each one thing with the next, in nine groups; the last is one thing with a photo of no group."""
    names = [f"/p/{i}" for i in range(10)]
    pairs = dict.fromkeys(names, ())
    for a, b in pairwise(names):
        pairs[a], pairs[b] = (*pairs[a], b), (*pairs[b], a)
    bounds = {name: Bound(dict.fromkeys(others, "raw pair")) for name, others in pairs.items()}
    groups = [[(f"/kept/{i}", "kept"), (name, "same content")] for i, name in enumerate(names)]
    assert find_bound(groups, bounds) == {}, "all are spare together"
    assert find_bound(groups[:-1], bounds) == dict.fromkeys(names[:-1], "raw pair")


def test_find_bound_keeps_live_photo_unless_the_kept_one_has_a_video():
    groups = [[("/a.jpg", "kept"), ("/b.jpg", "near")]]
    assert find_bound(groups, {"/b.jpg": Bound(video=True)}) == {"/b.jpg": "live photo"}
    assert find_bound(groups, {"/a.jpg": Bound(video=True), "/b.jpg": Bound(video=True)}) == {}
