"""How many photos show each label: exact when asked so, at once for menus, current after each run."""

from dataclasses import replace

import pytest
from embedding_library import BLACK, BLUE, GREEN, RED, open_seen

from photosearch.library.runs import read_value, write_value
from photosearch.search.label_counts import KEY, LabelCount, suggest_labels


@pytest.fixture
def seen(tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path))
    with open_seen(tmp_path) as seen:
        for name, colour in {"a": RED, "b": (250, 0, 0), "c": GREEN, "d": BLACK}.items():
            seen.photo(f"{name}.png", colour)
        seen.photo("copy.png", RED)
        index(seen)
        yield seen


def index(seen):
    """The whole run, with what it does at its end."""
    seen.index()
    seen.asks._session.rescore()


def counts(seen, **options):
    return {row.label.name: row.photos for row in seen.asks.labels.list_counts(**options)}


def test_counts_are_what_find_gives(seen):
    assert counts(seen) == {"red": 3, "green": 1, "blue": 0}
    assert counts(seen) == {name: len(seen.find(name, query_mode="label", copies=True)) for name in counts(seen)}
    assert [row.label.name for row in seen.asks.labels.list_counts()] == ["red", "green", "blue"]


def test_counts_follow_photos_that_come_and_go(seen):
    seen.photo("e.png", BLUE)
    (seen.folder / "copy.png").unlink()
    seen.index()
    assert counts(seen, exact=False) == {"red": 3, "green": 1, "blue": 0}, "as at the end of the last run"
    assert counts(seen) == {"red": 2, "green": 1, "blue": 1}
    assert counts(seen, exact=False) == counts(seen), "stored by now"
    seen.asks.forget([seen.folder / "e.png"])
    assert counts(seen)["blue"] == 0


def test_counts_follow_thresholds_and_own_labels(seen):
    seen.asks.labels.set_threshold(seen.asks.labels.get("red"), 0.99)
    assert counts(seen, exact=False)["red"] == len(seen.find("red", query_mode="label", copies=True)) == 2
    seen.asks.labels.add("night", "black")
    assert counts(seen, exact=False)["night"] == len(seen.find("night", query_mode="label", copies=True))


def test_counts_follow_learning_again(seen):
    for i in range(8):
        seen.photo(f"dark{i}.png", (i, 3 * i, 9))
        seen.photo(f"light{i}.png", (250 - i, 250, 240 + i))
    index(seen)
    dark, light = ([seen.folder / f"{kind}{i}.png" for i in range(8)] for kind in ("dark", "light"))
    seen.asks.marks.add(dark, positive=["my night"], new=True)
    seen.asks.marks.add(light, negative=["my night"])
    learned = seen.asks.labels.learn("my night").label
    assert counts(seen, exact=False)["my night"] == len(seen.find("my night", query_mode="label", copies=True)) > 0
    with seen.under.db.transaction():  # as learning again does: another classifier, the same threshold, other scores
        first, *row = seen.under.db.one("SELECT * FROM classifiers")
        seen.under.db.write(f"INSERT INTO classifiers VALUES ({', '.join('?' * (len(row) + 1))})", [first + 1, *row])
        seen.under.db.write("UPDATE scores SET score = 0 WHERE label_id = ?", [learned.id])
    assert counts(seen, exact=False)["my night"] == len(seen.find("my night", query_mode="label", copies=True)) == 0


@pytest.mark.parametrize(
    "value",
    ["", "x", "[]", '{"counts": 3}', '{"stamp": 1, "counts": {"1": []}}', '{"counts": {"1": ["x", 1e999, {}]}}'],
)
def test_damaged_counts_are_made_again(seen, value):
    write_value(seen.under.db, KEY, value)
    assert counts(seen, exact=False) == {"red": 0, "green": 0, "blue": 0}
    assert counts(seen) == {"red": 3, "green": 1, "blue": 0}
    assert read_value(seen.under.db, KEY) != value


def test_completion_ranks_by_photos_then_by_commonness(seen):
    seen.asks.labels.add("blank", "black")
    assert seen.asks.complete("bl") == ["blank", "blue"]
    assert seen.asks.labels.complete("BL") == ["blank", "blue"]
    seen.asks.marks.add(seen.folder / "a.png", positive=["blog"], new=True)
    assert seen.asks.labels.complete("bl")[-1] == "blog", "marked, and no label yet"


def test_suggest_takes_everyday_labels_that_are_no_kin(seen):
    assert [row.label.name for row in seen.asks.labels.suggest()] == ["red", "green"]
    label = seen.asks.labels.get("red")
    rows = [LabelCount(replace(label, name=name), n, everyday) for name, n, everyday in (
        ("animal", 9, True), ("dog", 3, True), ("tench", 7, False), ("beach", 3, True), ("bus", 0, True))]  # fmt: skip
    assert [row.label.name for row in suggest_labels(rows, 3)] == ["animal", "beach"]
    rows[1] = replace(rows[1], photos=5)
    assert [row.label.name for row in suggest_labels(rows, 3)] == ["dog", "beach"], "most animals are dogs"
