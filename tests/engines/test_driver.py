"""A distributed index writes the rows of a plain one, whatever happens to its workers."""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pytest

pytest.importorskip("pyarrow", reason="shards need pyarrow")

import pyarrow as pa
from library import InThisProcess, Untouched, make
from pyarrow import parquet
from spread import LocalWorkers, Spread, all_rows, write_photos
from toy import write_toy

from photosearch.engines import driver, worker
from photosearch.engines.driver import Driver, ShardOutcome
from photosearch.engines.store import FolderStore
from photosearch.engines.worker import Worker
from photosearch.errors import InputError, ModelError
from photosearch.index.events import NotScored, WorkerDied
from photosearch.models.session import Model


@pytest.fixture
def library(tmp_path):
    made = make(tmp_path)
    with made.db:
        yield made


@pytest.fixture
def plain(library):
    """A second library of the same photos, for a plain index."""
    other = library.another("plain.db")
    with other.db:
        yield other


def index(library, spread, **options):
    return library.index(engine=spread.driver(), **options)


def test_driver_writes_the_rows_of_a_plain_index(library, plain, tmp_path):
    write_photos(library, 30)
    write_photos(library, 10, os.fsdecode(b"not utf-8 \xff"))
    library.path("broken.jpg").write_bytes(b"no photo")
    library.path("copy.png").write_bytes(library.path("001.png").read_bytes())
    spread = Spread(tmp_path / "shards")
    assert index(library, spread) == plain.index(decoders=InThisProcess)
    assert all_rows(library) == all_rows(plain)
    assert len(spread.workers.submitted) > 5
    assert spread.workers.closed
    assert library.index(decoders=Untouched) == plain.index(decoders=Untouched)


def test_second_run_submits_nothing(library, tmp_path):
    write_photos(library, 12)
    index(library, Spread(tmp_path / "shards"))
    again = Spread(tmp_path / "shards")
    assert set(index(library, again)) == {"Unchanged"}
    assert again.workers.submitted == []


def test_run_after_a_dead_driver_reuses_finished_shards(library, plain, tmp_path):
    write_photos(library, 30)
    events = library.events(engine=Spread(tmp_path / "shards").driver())
    list(itertools.islice(events, 3))
    events.close()
    begun = set(os.listdir(tmp_path / "shards")) - {"probe"}
    spread = Spread(tmp_path / "shards")
    index(library, spread)
    assert begun.isdisjoint(shard.name for shard in spread.workers.submitted)
    plain.index(decoders=InThisProcess)
    assert all_rows(library) == all_rows(plain)


def test_another_library_reuses_finished_shards(library, plain, tmp_path):
    write_photos(library, 30)
    index(library, Spread(tmp_path / "shards"))
    again = Spread(tmp_path / "shards")
    index(plain, again)
    assert again.workers.submitted == []
    assert all_rows(library) == all_rows(plain)


def test_truncated_shard_is_made_again(library, tmp_path):
    write_photos(library, 12)
    first = Spread(tmp_path / "shards")
    index(library, first)
    cut = first.workers.submitted[0].name
    os.truncate(tmp_path / "shards" / cut, 100)
    again = Spread(tmp_path / "shards")
    with library.another("other.db").db as db:
        library.db = db
        index(library, again)
    assert [shard.name for shard in again.workers.submitted] == [cut]


def test_shards_are_deleted_once_committed_without_keep(library, tmp_path):
    write_photos(library, 12)
    index(library, Spread(tmp_path / "shards", keep=False))
    assert os.listdir(tmp_path / "shards") == ["probe"]


@pytest.mark.parametrize("keep", [True, False])
def test_shard_of_a_dead_driver_is_deleted_once_it_is_committed(library, plain, tmp_path, keep):
    write_photos(library, 12)
    index(library, Spread(tmp_path / "shards"))
    left = set(os.listdir(tmp_path / "shards"))
    again = Spread(tmp_path / "shards", keep=keep)
    index(plain, again)
    assert again.workers.submitted == []
    assert set(os.listdir(tmp_path / "shards")) == (left if keep else {"probe"})


def test_folder_of_shards_goes_with_the_last_of_them(library, tmp_path, monkeypatch):
    write_photos(library, 3)
    monkeypatch.setattr(LocalWorkers, "close", lambda workers: workers.store.remove("probe"))  # as Ray's workers do
    index(library, Spread(tmp_path / "shards", keep=False))
    assert not (tmp_path / "shards").exists()


def test_dead_worker_costs_nothing(library, plain, tmp_path):
    write_photos(library, 20)
    deaths = itertools.count()
    spread = Spread(tmp_path / "shards", kills=lambda shard: next(deaths) < 2)
    events = index(library, spread)
    assert len(events.pop("WorkerDied")) == 2
    assert events == plain.index(decoders=InThisProcess)
    assert all_rows(library) == all_rows(plain)


def test_photo_that_kills_every_worker_is_unreadable(library, tmp_path):
    write_photos(library, 20)
    killer = str(library.path("007.png"))
    spread = Spread(
        tmp_path / "shards", photos_per_shard=20, kills=lambda shard: killer in [photo.path for photo in shard.photos]
    )
    events = index(library, spread)
    assert events["ReadFailed"] == ["007.png"]
    assert len(events["New"]) == 19
    (reason,) = [r for (r,) in library.db.rows("SELECT reason FROM photos WHERE reason IS NOT NULL")]
    assert reason == "the worker crashed on this file 3 times (killed)"
    deaths = [shard for shard in spread.workers.submitted if killer in [photo.path for photo in shard.photos]]
    assert [len(shard.photos) for shard in deaths][-3:] == [1, 1, 1]
    assert len(deaths) == 6
    assert "ReadFailed" in library.index(decoders=Untouched), "it is remembered, and retried only with --retry"


def test_no_photo_is_unreadable_if_every_worker_dies(library, tmp_path):
    write_photos(library, 20)
    spread = Spread(tmp_path / "shards", photos_per_shard=100, kills=lambda shard: True)  # all in one shard
    events = list(library.events(engine=spread.driver()))
    not_scored = [event for event in events if isinstance(event, NotScored)]
    assert len(not_scored) + driver.MAX_CONSECUTIVE_FAILURES - 1 == 20
    assert {event.reason for event in not_scored} == {"killed"}
    assert any(isinstance(event, WorkerDied) for event in events)
    later = library.index(decoders=InThisProcess, retry=True)
    assert len(later["New"]) + len(later.get("Changed", [])) == 20


def test_failed_model_stops_the_run(library, tmp_path):
    write_photos(library, 20)

    class Failing(Worker):
        def score(self, shard):
            return driver.ShardOutcome(shard.name, "model", "on here: the model failed")

    spread = Spread(tmp_path / "shards")
    made = spread.driver()
    opened = made.open_workers

    def open_workers(work):
        workers = opened(work)
        workers.worker.__class__ = Failing
        return workers

    made.open_workers = open_workers
    with pytest.raises(ModelError, match="on here: the model failed"):
        list(library.events(engine=made))
    assert spread.workers.closed


def test_driver_names_a_store_that_it_can_not_see(library, tmp_path):
    write_photos(library, 5)
    spread = Spread(tmp_path / "shards")
    made = spread.driver()
    made.store = type(made.store)(str(tmp_path / "elsewhere"))
    with pytest.raises(InputError, match="choose --shards in a place that all machines see"):
        list(library.events(engine=made))


def test_stopped_driver_commits_whole_shards_only(library, plain, tmp_path):
    write_photos(library, 40)
    seen = []
    events = library.events(engine=Spread(tmp_path / "shards").driver(), stop=lambda: len(seen) >= 10)
    for event in events:
        seen.append(event)
    assert 10 <= len(seen) < 40
    index(library, Spread(tmp_path / "shards"))
    plain.index(decoders=InThisProcess)
    assert all_rows(library) == all_rows(plain)


def test_driver_finds_changes_like_a_plain_index(library, plain, tmp_path):
    write_photos(library, 20)
    for one in (library, plain):
        one.index(decoders=InThisProcess)
    library.path("sub").mkdir()
    library.path("003.png").rename(library.path("sub/moved.png"))
    library.path("004.png").unlink()
    library.photo("005.png", "white")
    library.photo("new.png", "black")
    os.utime(library.path("006.png"), ns=(5, 5))
    spread = Spread(tmp_path / "shards")
    events = index(library, spread)
    assert events == plain.index(decoders=InThisProcess)
    assert events["Moved"] == [("003.png", "sub/moved.png")]
    assert all_rows(library) == all_rows(plain)
    (touched,) = [
        shard for shard in spread.workers.submitted if str(library.path("006.png")) in [p.path for p in shard.photos]
    ]
    assert any(touched.known_hashes), "known content need not be decoded again"


def test_driver_rescores_everything_with_force(library, tmp_path):
    write_photos(library, 10)
    library.index(decoders=InThisProcess)
    spread = Spread(tmp_path / "shards")
    events = index(library, spread, force=True)
    assert len(events["Rescored"]) == 10


@pytest.mark.parametrize("wrong", ["version", "root", "store", "no store", "model"])
def test_worker_names_its_difference_from_the_driver(library, tmp_path, wrong):
    from spread import make_config

    write_photos(library, 1)
    spread = Spread(tmp_path / "shards")
    index(library, spread)
    changes = {
        "version": {"version": ("9.9", 1, 2)},
        "root": {"roots": ("/not here",)},
        "store": {"probe": "another"},
        "no store": {"store": str(tmp_path / "nothing here")},
        "model": {"paths": (str(write_toy(tmp_path / "another.onnx", scale=1 / 300)),)},
    }[wrong]
    if wrong == "model":
        library.model.path.unlink()
    said = {
        "version": "and the driver has 9.9, 1, 2; install the same",
        "root": "/not here is not there; mount the photos under the same path on all machines",
        "store": "is not the driver's; choose --shards in a place that all machines see",
        "no store": "nothing here: no such folder of shards",
        "model": "install the same model on all machines",
    }[wrong]
    with pytest.raises(InputError, match=said):
        Worker(replace(make_config(spread.workers.work, spread.store), **changes), InThisProcess)
    assert not (tmp_path / "nothing here").exists(), "it makes none"


def test_worker_loads_its_models_as_the_driver_says(library, tmp_path, monkeypatch):
    from spread import make_config

    write_photos(library, 1)
    spread, asked = Spread(tmp_path / "shards"), []
    index(library, spread)
    monkeypatch.setattr(worker, "Model", lambda path, **options: asked.append(options) or Model(path, **options))
    Worker(make_config(spread.workers.work, spread.store, threads=3), InThisProcess)
    assert {tuple(options.items()) for options in asked} == {(("provider", "cpu"), ("threads", 3))}


# ---- workers that lie


@dataclass
class LyingWorkers(LocalWorkers):
    """lie: what becomes of an outcome."""

    lie: Callable[[ShardOutcome], ShardOutcome] = lambda outcome: outcome

    def wait(self, seconds: float) -> Sequence[ShardOutcome]:
        return [self.lie(outcome) for outcome in super().wait(seconds)]


def index_with(library, store, lie):
    driver = Driver(store, lambda work: LyingWorkers(work, store, lie=lie), 4)
    return library.index(engine=driver)


@pytest.mark.parametrize(
    "lie",
    [
        lambda outcome: replace(outcome, name="another"),
        lambda outcome: replace(outcome, error="fine"),
        lambda outcome: replace(outcome, error=7),
    ],
    ids=["another shard", "an unknown error", "a number"],
)
def test_driver_refuses_an_answer_that_makes_no_sense(library, tmp_path, lie):
    write_photos(library, 5)
    with pytest.raises(InputError, match="a worker's answer makes no sense") as told:
        index_with(library, FolderStore(str(tmp_path / "shards")), lie)
    assert "\n" not in str(told.value)


def test_driver_commits_nothing_of_a_shard_with_a_bad_row_and_makes_it_again(library, tmp_path):
    write_photos(library, 5)
    store = FolderStore(str(tmp_path / "shards"))

    def spoil(outcome: ShardOutcome) -> ShardOutcome:
        path = tmp_path / "shards" / outcome.name
        table = parquet.read_table(path)
        rows = table.to_pylist()
        rows[-1]["prediction_0"]["scores"] = [("red", float("nan"))]
        parquet.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
        return outcome

    with pytest.raises(InputError, match=r"\.parquet: row \d: a score is not in 0\.\.1; nothing of this shard was"):
        index_with(library, store, spoil)
    assert all_rows(library) == []
    assert len(index_with(library, store, lambda outcome: outcome)["New"]) == 5
