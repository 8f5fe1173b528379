"""What must hold for any library and any query, looked for by hypothesis where nobody thought of looking.

`find` against what a query means in plain Python; the index against a model in memory of what it must know. The same
examples at each run; PHOTOSEARCH_EXAMPLES=2000 looks at so many, and at others each time.
"""

import contextlib
import io
import os
import shutil
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from library import Counting, Library, kept_decoders, make
from PIL import Image
from toy import COLOURS, toy_card, write_toy

from photosearch import query
from photosearch.errors import InputError, QueryError
from photosearch.index.events import (
    Changed,
    Moved,
    New,
    ReadFailed,
    RemovalRefused,
    Removed,
    Rescored,
    Returned,
    RootMoved,
    Unchanged,
)
from photosearch.library import marks, matching
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.labels import read_labels
from photosearch.library.models import put_model
from photosearch.library.photos import (
    FileRecord,
    find_image_at,
    list_places,
    list_unreadable,
    mark_absent,
    put_image,
    put_photo,
)
from photosearch.library.records import Label
from photosearch.library.scores import put_prediction
from photosearch.query import And, Is, Not, Or, Query

EXAMPLES = int(os.environ.get("PHOTOSEARCH_EXAMPLES", "0"))


def looking(examples: int, **options: object) -> settings:
    return settings(
        max_examples=EXAMPLES or examples, derandomize=not EXAMPLES, deadline=None, print_blob=False,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], **options,
    )  # fmt: skip


# ---- find, against plain Python

NAMES = ["bird", "red panda", "and", "żuk (x)", "O'Neill"]
scores = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1, width=32)
folders = st.sampled_from(["/p", "/p/a", "/p/a/b", "/p/ab", "/p/a b", "/p/ä", os.fsdecode(b"/p/a/\xff"), "/q"])
dates = st.builds("{:04}-{:02}-{:02}T{:02}:00:00".format, st.integers(2019, 2021), *[st.integers(1, 3)] * 2,
                  st.integers(0, 23))  # fmt: skip
parts_of_dates = st.builds(lambda date, n: date[:n], dates, st.sampled_from([4, 7, 10, 19]))
leaves = st.sampled_from(NAMES).map(Is)
queries = st.recursive(
    leaves,
    lambda q: q.map(Not) | st.builds(lambda kind, parts: kind(tuple(parts)), st.sampled_from([And, Or]),
                                     st.lists(q, min_size=2, max_size=4)),
    max_leaves=12,
)  # fmt: skip
images = st.fixed_dictionaries({
    "scores": st.none() | st.dictionaries(st.sampled_from(NAMES), scores),
    "taken": dates,
    "folders": st.lists(folders, min_size=1, max_size=3),
    "removed": st.sampled_from([False, False, False, True]),
})  # fmt: skip
asked = st.fixed_dictionaries({
    "tree": queries,
    "min_score": st.none() | scores,
    "limit": st.none() | st.integers(0, 5),
    "under": st.none() | folders | st.just("/"),
    "since": st.none() | parts_of_dates,
    "until": st.none() | parts_of_dates,
})  # fmt: skip


def text(q: Query) -> str:
    """A query as somebody would type it."""
    match q:
        case Is(name):
            return f'"{name}"'
        case Not(part):
            return f"not {bracketed(part)}"
        case And(parts):
            return " and ".join(map(bracketed, parts))
        case Or(parts):
            return " or ".join(map(bracketed, parts))


def bracketed(q: Query) -> str:
    return text(q) if isinstance(q, Is) else f"({text(q)})"


def simple(q: Query) -> Query:
    """Without `not not`, which parse() leaves out where nothing stands between."""
    match q:
        case Not(Not(part)):
            return simple(part)
        case Not(part):
            return Not(simple(part))
        case And(parts) | Or(parts):
            return type(q)(tuple(map(simple, parts)))
    return q


@looking(200)
@given(queries)
def test_parse_inverts_formatting_of_queries(q):
    assert simple(query.parse(text(q))) == simple(q)
    assert set(query.list_labels(query.parse(text(q)))) == set(query.list_labels(q))


@pytest.mark.slow
@looking(500)
@given(st.text("ab()\"' \t", max_size=30) | st.lists(st.sampled_from("a and or not ( ) \" '".split())).map(" ".join))
def test_parse_raises_query_errors_only(typed):
    with contextlib.suppress(QueryError):
        assert query.list_labels(query.parse(typed))


@looking(200)
@given(queries, st.fixed_dictionaries(dict.fromkeys(NAMES, scores)))
def test_score_of_negation_is_one_minus_score(q, given_scores):
    assert query.score(Not(q), given_scores) == 1.0 - query.score(q, given_scores)
    assert 0 <= query.score(q, given_scores) <= 1
    halves = dict.fromkeys(NAMES, 0.5)
    assert query.matches(q, given_scores, halves) != query.matches(Not(q), given_scores, halves)


@pytest.mark.slow
@looking(40)
@given(
    st.lists(images, max_size=14),
    st.fixed_dictionaries(dict.fromkeys(NAMES, scores)),
    st.lists(asked, max_size=12),
    st.sampled_from([0, 3]),
    st.sampled_from([0.0, 0.25]),
)
def test_find_gives_what_the_query_means_in_its_order(library, thresholds, questions, some, floor):
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Database(Path(folder) / "s.db", create=True)) as db,
        mock.patch.object(matching, "DEPTHS", (1, 3)),
        mock.patch.object(matching, "MAX_LISTED", some),
        mock.patch.object(matching, "MAX_SCANNED", some),  # so that a small library has more than the tops of its lists
    ):
        labels = fill(db, library, thresholds, floor)
        for question in questions:
            bounds = {k: question[k] for k in ("under", "since", "until")}
            rest = {k: v for k, v in question.items() if k not in bounds}
            only = matching.filter_photos(db, **bounds)
            found = [(f.path, f.score, f.taken) for f in matching.find_matches(db, labels=labels, only=only, **rest)]
            images = matching.find_images(db, question["tree"], labels, question["min_score"], only)
            if question["limit"] is None:
                assert len(images) == len(set(images)) == len({f.split("/")[-1].split("-")[0] for f, _, _ in found})
            assert found == meant(library, thresholds, floor, **question)


def fill(db: Database, library: list[dict[str, Any]], thresholds: dict[str, float], floor: float) -> dict[str, Label]:
    """The first image was looked at by an older file of the model, which knew no `NAMES[0]`; some by none."""
    card = toy_card(labels=NAMES, pooling={}, thresholds=thresholds, min_score=floor)
    older, _ = put_model(db, toy_card(labels=NAMES[1:], pooling={}, min_score=floor), "older", 0)
    model_id, ids = put_model(db, card, "digest", 0)
    roots = {path: add_root(db, path) for path in ("/p", "/q")}
    for i, image in enumerate(library):
        image_id = put_image(db, bytes([i]) * 32, 1, 1, image["taken"] if i % 2 else None)
        given = scores_of(image, floor)
        if given is not None and i == 0:
            put_prediction(db, image_id, older, ids, {k: v for k, v in given.items() if k != NAMES[0]})
        elif given is not None:
            put_prediction(db, image_id, model_id, ids, given)
        for k, path in enumerate(image["folders"]):
            file = FileRecord(1, 1, name_date=image["taken"])
            put_photo(db, put_folder(db, roots[path[:2]], path), f"{i}-{k}.jpg", file, image_id)
        if image["removed"]:
            mark_absent(db, [photo_id for photo_id, _, _ in list_places(db, image_id, 9)], "removed")
    return {label.name: label for label in read_labels(db)}


def scores_of(image: dict[str, Any], floor: float) -> dict[str, float] | None:
    """What a model with this floor stores of an image; without a floor, every label has a row."""
    if image["scores"] is None:
        return None
    if floor == 0:
        return {name: image["scores"].get(name, 0.0) for name in NAMES}
    return {name: score for name, score in image["scores"].items() if score >= floor}


def meant(library, thresholds, floor, tree, min_score, limit, under, since, until) -> list[tuple[str, float, str]]:
    found = []
    for i, image in enumerate(library):
        stored = scores_of(image, floor)
        if image["removed"] or stored is None or (i == 0 and NAMES[0] in query.list_labels(tree)):
            continue
        given = {name: stored.get(name, 0.0) for name in NAMES}
        from_on = (
            {n: max(t, floor) for n, t in thresholds.items()} if min_score is None else dict.fromkeys(NAMES, min_score)
        )
        if not query.matches(tree, given, from_on):
            continue
        if image["taken"] < (since or "") or (until is not None and image["taken"][: len(until)] > until):
            continue
        for k, path in enumerate(image["folders"]):
            if under is None or f"{path}/".startswith(f"{under.rstrip('/')}/"):
                found.append((f"{path}/{i}-{k}.jpg", query.score(tree, given), image["taken"]))
    return sorted(found, key=lambda row: -row[1])[:limit]


# ---- the index, against a model in memory


def png(colour: str, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, height), COLOURS[colour]).save(file, "PNG")
    return file.getvalue()


BROKEN = [b"no photo", b"no photo, and longer"]
CONTENTS = {png(c, h): {"red": 1.0, "blue": 0.0}[c] for c in ("red", "blue") for h in (8, 9)}
FOLDERS = ["", "a", "b", "a/c", "a/c/d"]
PATHS = [os.path.join(folder, name) for folder in FOLDERS for name in ("x.png", "y.png")]
contents = st.sampled_from([*CONTENTS, *BROKEN])
SCOPES = [("",), ("a",), ("b",), ("a/c",), ("f",), ("a", "b"), ("b", "a")]


class LivingFolder(RuleBasedStateMachine):
    """A folder that somebody works in, indexed now and then, in whole and in parts.

    disk: path -> content. known: what the library must know of, path -> content. scored_by: content -> the version
    of the model that scored it last. truth: content -> what was marked.
    """

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.library = make(Path(self.temporary.name))
        newer = write_toy(Path(self.temporary.name) / "newer.onnx", toy_card(version="2"), scale=1 / 510)
        self.models = {1.0: self.library.model, 0.5: Counting(newer, provider="cpu", threads=1)}
        self.disk: dict[str, bytes] = {}
        self.known: dict[str, bytes] = {}
        self.scored_by: dict[bytes, float] = {}
        self.truth: dict[bytes, bool] = {}
        self.seconds = 0

    def teardown(self) -> None:
        self.run(("",), prune=True, version=1.0)
        with self.library.another("fresh.db").db as db:
            fresh = Library(self.library.folder, db, self.library.model, self.library.options)
            fresh.index()
            assert fresh.scores() == self.library.scores()
            assert reasons(fresh) == reasons(self.library)
        self.library.db.close()
        self.temporary.cleanup()

    # -- what somebody does

    def date(self, path: str) -> None:
        """Every change has a date of its own, as it would have where a second passes between two."""
        self.seconds += 1
        os.utime(self.library.path(path), ns=(0, self.seconds * 10**9))

    @initialize(photos=st.dictionaries(st.sampled_from(PATHS), contents, min_size=4), scopes=st.sampled_from(SCOPES))
    def begin(self, photos, scopes):
        for path, content in photos.items():
            self.write(path, content)
        self.run(scopes, prune=False, version=1.0)

    @rule(path=st.sampled_from(PATHS), content=contents)
    def write(self, path, content):
        self.library.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.library.path(path).write_bytes(content)
        self.date(path)
        self.disk[path] = content

    @precondition(lambda self: self.disk)
    @rule(data=st.data(), goal=st.sampled_from(PATHS), keep_date=st.booleans())
    def copy(self, data, goal, keep_date):
        path = data.draw(st.sampled_from(sorted(self.disk)))
        if path != goal:
            self.library.path(goal).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.library.path(path), self.library.path(goal))
            self.disk[goal] = self.disk[path]
            if not keep_date:
                self.date(goal)

    @precondition(lambda self: self.disk)
    @rule(data=st.data(), goal=st.sampled_from(PATHS))
    def move(self, data, goal):
        path = data.draw(st.sampled_from(sorted(self.disk)))
        self.library.path(goal).parent.mkdir(parents=True, exist_ok=True)
        self.library.path(path).replace(self.library.path(goal))
        self.disk[goal] = self.disk.pop(path)

    @precondition(lambda self: len(self.disk) > 1)
    @rule(data=st.data())
    def swap(self, data):
        a, b = data.draw(st.lists(st.sampled_from(sorted(self.disk)), min_size=2, max_size=2, unique=True))
        for before, after in ((a, "aside"), (b, a), ("aside", b)):
            self.library.path(before).replace(self.library.path(after))
        self.disk[a], self.disk[b] = self.disk[b], self.disk[a]

    @precondition(lambda self: self.disk)
    @rule(data=st.data(), delete=st.booleans())
    def delete_or_touch(self, data, delete):
        path = data.draw(st.sampled_from(sorted(self.disk)))
        if delete:
            self.library.path(path).unlink()
            del self.disk[path]
        else:
            self.date(path)

    @rule(before=st.sampled_from(["a", "b", "a/c", "f"]), after=st.sampled_from(["a", "b", "a/c", "b/e", "f"]),
          index=st.booleans())  # fmt: skip
    def move_folder(self, before, after, index):
        source, goal = self.library.path(before), self.library.path(after)
        if source.is_dir() and not goal.exists() and not goal.is_relative_to(source):
            goal.parent.mkdir(exist_ok=True)
            source.rename(goal)
            self.disk = {replaced(path, before, after): content for path, content in self.disk.items()}
            if index:
                self.run((after,), prune=False, version=1.0)

    @rule(folder=st.sampled_from(["a", "b", "a/c", "f"]))
    def delete_folder(self, folder):
        shutil.rmtree(self.library.path(folder), ignore_errors=True)
        self.disk = {path: content for path, content in self.disk.items() if not within(path, folder)}

    @precondition(lambda self: self.known)
    @rule(data=st.data(), present=st.booleans())
    def mark(self, data, present):
        path = data.draw(st.sampled_from(sorted(self.known)))
        image_id = find_image_at(self.library.db, str(self.library.path(path)))
        assert (image_id is not None) == (self.known[path] in CONTENTS)
        if image_id is not None:
            marks.put_marks(self.library.db, [("red", image_id, present)])
            self.truth[self.known[path]] = present

    # -- what the library must make of it

    @rule(scopes=st.sampled_from(SCOPES), prune=st.booleans(), version=st.sampled_from([1.0, 1.0, 0.5]),
          batch_size=st.integers(1, 4))  # fmt: skip
    def index(self, scopes, prune, version, batch_size):
        self.run(scopes, prune=prune, version=version, batch_size=batch_size)

    @rule(version=st.sampled_from([1.0, 0.5]), events=st.integers(0, 6))
    def index_again_after_a_run_was_cut_short(self, version, events):
        need = self.unscored(("",), version)
        run = self.library.events(model=self.models[version], batch_size=2)
        for _ in zip(range(events), run, strict=False):
            pass
        run.close()
        self.library.index(model=self.models[version], prune=True)
        assert self.models[version].scored() == len(need)
        self.scored_by |= dict.fromkeys(need, version)
        self.known = dict(self.disk)
        self.check()

    def run(self, scopes: tuple[str, ...], *, prune: bool, version: float, batch_size: int = 16) -> None:
        need = self.unscored(scopes, version)
        try:
            told = list(self.library.events(*scopes, model=self.models[version], prune=prune, batch_size=batch_size))
        except InputError:
            assert not all(self.library.path(scope).is_dir() for scope in scopes)
            return
        below = self.library.below
        for event in told:
            if isinstance(event, RootMoved):
                before, after = below(event.before), below(event.path)
                others = {path: content for path, content in self.known.items() if not within(path, after)}
                self.known = {replaced(path, before, after): content for path, content in others.items()}
        visited = (New, Changed, Rescored, Unchanged, Moved, Returned, ReadFailed)
        on_disk = [path for scope in scopes for path in self.disk if within(path, scope)]
        assert sorted(below(e.path) for e in told if isinstance(e, visited)) == sorted(on_disk)
        moved = {below(e.before) for e in told if isinstance(e, Moved)}
        assert not moved & self.disk.keys()
        removed = {below(e.path) for e in told if isinstance(e, Removed)}
        kept = {below(e.path) for e in told if isinstance(e, RemovalRefused)}
        for scope in scopes:
            had = [path for path in self.known if within(path, scope)]
            lost = {path for path in had if path not in self.disk} - moved
            if lost:
                assert (scope in kept) != (lost <= removed)
                assert len(scopes) > 1 or (scope in kept) == (2 * len(lost) > len(had) and not prune)
        assert self.models[version].scored() == len(need)
        self.scored_by |= dict.fromkeys(need, version)
        self.known = {path: content for path, content in self.known.items() if path not in removed | moved}
        self.known |= {path: self.disk[path] for path in on_disk}
        self.check()

    def unscored(self, scopes: tuple[str, ...], version: float) -> set[bytes]:
        """The contents that this version of the model must score when it indexes these folders."""
        there = {content for path, content in self.disk.items() if any(within(path, scope) for scope in scopes)}
        return {content for content in there if content in CONTENTS and self.scored_by.get(content) != version}

    def check(self) -> None:
        readable = {path: content for path, content in self.known.items() if content in CONTENTS}
        assert self.library.scores() == {p: CONTENTS[c] * self.scored_by[c] for p, c in readable.items()}
        assert reasons(self.library).keys() == self.known.keys() - readable.keys()
        marked = {self.library.below(t.path): t.present for t in marks.list_marks(self.library.db)}
        assert marked == {path: self.truth[content] for path, content in readable.items() if content in self.truth}


def within(path: str, folder: str) -> bool:
    return not folder or path == folder or path.startswith(f"{folder}/")


def replaced(path: str, before: str, after: str) -> str:
    return os.path.join(after, os.path.relpath(path, before or ".")) if within(path, before) else path


def reasons(library: Library) -> dict[str, str]:
    return {library.below(path): why for path, why, _ in list_unreadable(library.db)}


@pytest.mark.slow
def test_library_equals_fresh_index_after_any_changes():
    with kept_decoders():
        run_state_machine_as_test(LivingFolder, settings=looking(30, stateful_step_count=30))
