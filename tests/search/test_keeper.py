"""Which photo of a group is kept, and the reason that is told."""

import numpy as np
import pytest

from photosearch.errors import InputError
from photosearch.search.keeper import CRITERIA, NAMES, ROW, explain, make_rule, rank, split_rule


def make_rows(*photos):
    """A row for each, equal but for what is given."""
    rows = np.zeros(len(photos), ROW)
    rows["width"] = rows["height"] = rows["size_bytes"] = 100
    for row, photo in zip(rows, photos, strict=True):
        for name, value in photo.items():
            row[name] = value
    return rows


@pytest.mark.parametrize(
    ("better", "worse", "reasons"),
    [
        ({"raw": True}, {"width": 900}, ("raw", "not raw")),
        ({"width": 200, "edited": 2}, {}, ("larger", "smaller")),
        ({"edited": 1}, {"edited": 2, "gps": True}, ("original", "edited or copied")),
        ({"edited": 2}, {"edited": 3, "gps": True}, ("has the camera's date", "lacks the camera's date")),
        ({"gps": True}, {"chosen": True}, ("has GPS", "lacks GPS")),
        ({"chosen": True}, {"dated": -5}, ("in an album or marked", "not in an album or marked")),
        ({"dated": 5, "named": True}, {"dated": 6, "size_bytes": 900}, ("older name", "newer name")),
        ({"dated": 5}, {"dated": 6, "named": True}, ("older file", "newer file")),
        ({"size_bytes": 101}, {}, ("more bytes", "fewer bytes")),
        ({}, {}, ("found first", "found later")),
    ],
)
def test_rank_and_explain_by_each_criterion(better, worse, reasons):
    rows = make_rows(worse, better) if better != worse else make_rows(better, worse)
    first, second = rank(rows)
    assert (first, second) == ((1, 0) if better != worse else (0, 1))
    assert explain(rows[[first]], rows[[second]]) == [reasons]


def test_rule_puts_named_criteria_first():
    rule = make_rule(split_rule(["older,larger", "folder:/a,b"]), {"/a,b": [7]}.__getitem__)
    assert [c.name for c in rule] == [
        "older",
        "larger",
        "folder:/a,b",
        *(n for n in NAMES if n not in ("older", "larger")),
    ]
    rows = make_rows({"raw": True, "dated": 9}, {"dated": 8}, {"dated": 8, "folder_id": 7})
    assert rank(rows, rule).tolist() == [2, 1, 0]
    assert explain(rows[[2, 2]], rows[[1, 0]], rule) == [("in /a,b", "not in /a,b"), ("older file", "newer file")]
    assert rank(rows).tolist() == [0, 1, 2]


def test_split_rule_refuses_unknown_criterion():
    assert split_rule(["larger, raw,", "raw"]) == ["larger", "raw"]
    with pytest.raises(InputError, match="--keep newest: no such criterion; there are raw, larger,"):
        split_rule(["larger,newest"])
    assert split_rule([]) == []


def test_explain_names_what_decided_first():
    """Of three hundred pairs, the first criterion in which they differ."""
    rng = np.random.default_rng(1)
    rows = make_rows(*({} for _ in range(600)))
    for name in ("raw", "gps", "chosen", "named"):
        rows[name] = rng.integers(0, 2, 600)
    for name in ("width", "edited", "dated", "size_bytes"):
        rows[name] = rng.integers(0, 3, 600)
    place = np.empty(600, int)
    place[rank(rows)] = range(600)
    for a, b in zip(range(0, 600, 2), range(1, 600, 2), strict=True):
        kept, other = (a, b) if place[a] < place[b] else (b, a)
        ((better, _),) = explain(rows[[kept]], rows[[other]])
        decided = next((c for c in CRITERIA if c.key(rows[[kept]])[0] != c.key(rows[[other]])[0]), None)
        expected = "found first" if decided is None else decided.better
        assert better.split()[0] == expected.split()[0]
