"""`merge`: results of workers are imported once, as a plain index would have written them, or not at all."""

import json
import os
import shutil
import signal

import pytest

pytest.importorskip("pyarrow", reason="shards need pyarrow")

from collections import defaultdict
from contextlib import contextmanager

import pyarrow as pa
from library import InThisProcess, Untouched, make
from pyarrow import parquet
from spread import Spread, all_rows, write_photos
from test_shards import UNIT
from toy import toy_card, write_toy
from typer.testing import CliRunner

from photosearch import Library
from photosearch.cli.app import app
from photosearch.cli.runs import stop_on_signal
from photosearch.errors import InputError, StoreError
from photosearch.library.lock import lock_library


@pytest.fixture
def made(tmp_path):
    """Photos, their shards, and a library that has indexed them."""
    library = make(tmp_path)
    with library.db:
        write_photos(library, 20)
        write_photos(library, 6, "sub")
        library.path("broken.jpg").write_bytes(b"no photo")
        library.index(engine=Spread(tmp_path / "shards").driver())
        os.unlink(tmp_path / "shards" / "probe")
        yield library


@pytest.fixture
def other(made, tmp_path):
    library = made.another("other.db")
    with library.db:
        yield library


def merge(library, *shards, **options):
    """-> what happened, as Library.index returns it."""
    events = defaultdict(list)
    options = {"models": (str(library.model.path),), "roots": {str(library.folder): str(library.folder)}, **options}
    with Library(library.db.path) as whole:
        for event in whole.merge(*(shards or (library.db.path.parent / "shards",)), provider="cpu", **options):
            events[type(event).__name__].append(library.below(event.path))
    return {kind: sorted(paths) for kind, paths in events.items()}


def test_merge_writes_the_rows_of_an_index(made, other):
    events = merge(other)
    assert (len(events["New"]), events["ReadFailed"]) == (26, ["broken.jpg"])
    assert all_rows(other) == all_rows(made)
    assert other.index(decoders=Untouched) == made.index(decoders=Untouched)


@pytest.mark.slow
def test_repeated_merge_changes_nothing(made, other):
    merge(other)
    before = all_rows(other)
    assert set(merge(other)) == {"Unchanged", "ReadFailed"}
    assert all_rows(other) == before


@pytest.mark.slow
def test_merge_keeps_albums(made, other):
    merge(other)
    with Library(other.db.path) as whole:
        whole.albums.add("Rome", [other.path("010.png"), other.path("011.png")])
        other.path("010.png").rename(other.path("moved.png"))
        merge(other)
        other.index(decoders=InThisProcess)
        merge(other)
        assert {other.below(photo.path) for photo in whole.albums.photos("Rome")} == {"moved.png", "011.png"}


@pytest.mark.slow
def test_stopped_merge_is_completed_by_the_next(made, other):
    seen = []
    with Library(other.db.path) as whole:
        shards = other.db.path.parent / "shards"
        roots = {str(other.folder): str(other.folder)}
        for event in whole.merge(shards, models=(str(other.model.path),), roots=roots, stop=lambda: len(seen) > 3):
            seen.append(event)
    assert 0 < len(seen) < 27
    merge(other)
    assert all_rows(other) == all_rows(made)


def test_merge_skips_changed_photos_and_the_next_index_scores_them(made, other):
    made.photo("001.png", "white")
    made.path("002.png").unlink()
    made.path("003.png").rename(made.path("moved.png"))
    assert merge(other)["ShardRowSkipped"] == ["001.png", "002.png", "003.png"]
    events = other.index(decoders=InThisProcess)
    assert events["New"] == ["001.png", "moved.png"]


def test_merge_maps_the_workers_root(made, tmp_path):
    away = tmp_path / "elsewhere"
    shutil.copytree(made.folder, away)
    library = made.another("other.db")
    library.folder = away
    with library.db:
        events = merge(library, roots={str(made.folder): str(away)})
        assert len(events["New"]) == 26
        assert set(library.index(decoders=Untouched)) == {"Unchanged", "ReadFailed"}


def test_merge_refuses_an_unmapped_root_before_writing(made, other):
    with pytest.raises(InputError, match=f"a shard of {made.folder}, which is no folder of this library; .* --root"):
        merge(other, roots={"/srv": "/mnt"})
    made.folder.rename(made.folder.with_name("gone"))
    with pytest.raises(InputError, match="no such folder"):
        merge(other)
    assert all_rows(other) == []


@pytest.mark.parametrize("how", ["another model", "other tiles"])
def test_merge_refuses_another_model_or_tiles_before_writing(made, other, tmp_path, how):
    said = {"models": (str(write_toy(tmp_path / "new.onnx", toy_card(version="2"), scale=1 / 300)),)}
    with pytest.raises(
        InputError, match=r"scored by toy 1 \(\w{8}\), but the folder's models are toy .*; name the same"
    ):
        merge(other, **(said if how == "another model" else {"tiles": 4}))
    assert not any(other.rows().values()), "neither a root nor a model is left behind"


def test_merge_refuses_a_damaged_shard_before_writing(made, other, tmp_path):
    names = sorted(os.listdir(tmp_path / "shards"))
    os.truncate(tmp_path / "shards" / names[-1], 200)
    with pytest.raises(InputError, match=f"{names[-1]}: damaged, cut short, or not a shard"):
        merge(other)
    assert all_rows(other) == []


def test_merge_names_empty_and_missing_folders(made, other, tmp_path):
    with pytest.raises(InputError, match="contains no shards"):
        merge(other, tmp_path / "photos")
    with pytest.raises(InputError, match="no such folder of shards"):
        merge(other, tmp_path / "nowhere")


def test_merge_names_the_run_that_holds_the_library(made, other):
    with lock_library(other.db), pytest.raises(StoreError, match="is being indexed by"):
        merge(other)


def test_merge_skips_excluded_photos(made, other):
    other.index("sub", decoders=InThisProcess, exclude=("00[0-4].png",))
    before = all_rows(other)
    events = merge(other)
    assert len(before) == 1
    assert [path for path in events["ShardRowSkipped"] if path.startswith("sub/")] == [
        f"sub/00{i}.png" for i in range(5)
    ]


def test_merge_refuses_rows_with_other_tiles_than_a_folder_below_uses(made, other):
    other.index(decoders=InThisProcess)
    other.index("sub", decoders=InThisProcess, tiles=4)
    with pytest.raises(InputError, match=rf"scored by toy 1 \(\w{{8}}\), which {made.folder}/sub doesn't use"):
        merge(other, models=())


# ---- hostile shards


def change(shard, root=None, **columns):
    """Change a shard's root, and values of its last row. Callables are given the value."""
    table = parquet.read_table(shard)
    rows = table.to_pylist()
    for name, value in columns.items():
        rows[-1][name] = value(rows[-1][name]) if callable(value) else value
    metadata = json.loads(table.schema.metadata[b"photosearch"])
    if root is not None:
        metadata["root"] = os.fsencode(root).hex()
    schema = table.schema.with_metadata({b"photosearch": json.dumps(metadata)})
    parquet.write_table(pa.Table.from_pylist(rows, schema=schema), shard)


def change_last(tmp_path, **columns):
    """Of several shards only the last one is bad -> its name."""
    path = max((tmp_path / "shards").iterdir())
    rows = parquet.read_metadata(path).num_rows
    change(path, **columns)
    return path.name, rows


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"taken": "2024-13-01T00:00:00", "taken_from": "xmp"}, "no real date"),
        ({"prediction_0": {"scores": [("red", 2.0)], "vector": None}}, r"a score is not in 0\.\.1"),
        ({"prediction_0": {"scores": [("mauve", 0.5)], "vector": None}}, "predictions that toy 1 .* can't have made"),
        ({"prediction_0": {"scores": [("red", 0.5)], "vector": UNIT}}, "predictions that toy 1 .* can't have made"),
        ({"prediction_0": {"scores": [("red", 0.5)], "vector": bytes(8)}}, "a vector of length 0, not 1"),
    ],
    ids=["date", "score", "label", "vector of a model without", "zero vector"],
)
def test_merge_checks_all_shards_before_it_writes(made, other, tmp_path, columns, said):
    name, row = change_last(tmp_path, **columns, reason=None, hash=b"h" * 32, width=4, height=4, fingerprint=7)
    with pytest.raises(InputError, match=rf"{name}: row {row}: {said}; nothing of this shard was imported"):
        merge(other)
    assert not any(other.rows().values()), "neither the root nor the rows of sound shards"


def test_merge_adds_no_folder_that_was_not_named(made, other, tmp_path, monkeypatch):
    (shard,) = list((tmp_path / "shards").iterdir())[:1]
    asked = []
    monkeypatch.setattr("photosearch.photos.remote._open", lambda protocol: asked.append(protocol))
    (tmp_path / "link").symlink_to("/etc")
    (made.folder / "link").symlink_to("/etc")
    for root in (
        "/",
        str(tmp_path),
        "/etc",
        f"{tmp_path}/link",
        f"{made.folder}/link",
        "http://host/x",
        "s3://bucket/x",
    ):
        change(shard, root)
        for roots in ({}, {str(made.folder): str(made.folder)}):
            with pytest.raises(
                InputError, match=r"a shard of .*, which is no folder of this library; .* --root"
            ) as told:
                merge(other, shard, roots=roots)
            assert "\n" not in str(told.value)
    change(shard, f"{made.folder}/../../etc")
    with pytest.raises(InputError, match="its root is not an absolute path"):
        merge(other, shard)
    assert not asked, "no address is asked"
    assert not any(other.rows().values())


@pytest.mark.slow
def test_merge_takes_a_known_folder_and_folders_below(made, other, tmp_path):
    made.index(decoders=Untouched)
    assert set(merge(made, roots={})) == {"Unchanged", "ReadFailed"}
    (tmp_path / "shards").rename(tmp_path / "all")
    made.index("sub", engine=Spread(tmp_path / "shards").driver(), force=True)
    os.unlink(tmp_path / "shards" / "probe")
    assert set(merge(made, roots={})) == {"Unchanged"}
    assert len(merge(other)["New"]) == 6
    assert [path for (path,) in other.db.rows("SELECT path FROM roots")] == [str(made.folder)]


@pytest.mark.slow
def test_merge_takes_only_files_that_an_index_would_find(made, other, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for path in (outside / "b.png", made.folder / "b.txt"):
        path.write_bytes(b"secret")
        os.utime(path, ns=(1, 1))
    (made.folder / "link").symlink_to(outside)
    (made.folder / "b.png").symlink_to(outside / "b.png")
    shard = max((tmp_path / "shards").iterdir())
    for path in ("b.txt", "link/b.png", "b.png", "sub"):
        change(shard, path=path.encode(), size_bytes=6, mtime_ns=1)
        assert path in merge(other)["ShardRowSkipped"]


# ---- as a person types it


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.mark.option("merge --json", "merge --model", "merge --verbose")
def test_merge_command_counts_rows(made, other, tmp_path):
    made.photo("001.png", "white")
    command = ("merge", tmp_path / "shards", "--model", other.model.path, "--db", other.db.path, "--json", "-v")
    refused = run(*command)
    assert (refused.exit_code, len(refused.stderr.splitlines())) == (1, 1)
    result = run(*command, "--root", made.folder)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert (summary["new"], summary["unreadable"], summary["skipped_rows"]) == (25, 1, 1)
    assert f"{made.path('001.png')}: skipped: " in result.stderr
    assert "1 row skipped" in result.stderr


def test_stopped_merge_command_exits_as_a_shell_expects(made, other, tmp_path, monkeypatch):
    @contextmanager
    def press_ctrl_c():
        with stop_on_signal() as stop:
            signal.raise_signal(signal.SIGINT)
            yield stop

    monkeypatch.setattr("photosearch.cli.merge.stop_on_signal", press_ctrl_c)
    command = ("merge", tmp_path / "shards", "--model", other.model.path, "--db", other.db.path, "--root", made.folder)
    result = run(*command)
    assert (result.exit_code, "run the same command to continue" in result.stderr) == (130, True), result.output


@pytest.mark.option("merge --root")
def test_merge_command_maps_roots_and_refuses_wrong_pairs(made, tmp_path):
    made.folder.rename(tmp_path / "here")
    db = tmp_path / "new.db"
    options = ("--model", made.model.path, "--db", db)
    result = run("merge", tmp_path / "shards", "--root", f"{made.folder}={tmp_path}/here", *options)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("27 photos: 26 new, 1 unreadable; ")
    assert run("merge", tmp_path / "shards", "--root", "nonsense=", *options).exit_code == 2
    wrong = run("merge", tmp_path / "shards", "--root", "/a=/b", *options)
    assert (wrong.exit_code, len(wrong.stderr.splitlines())) == (1, 1)


@pytest.mark.option("merge --quiet", "merge --tiles", "merge --provider")
def test_merge_command_is_quiet_and_refuses_wrong_options(made, other, tmp_path):
    command = ("merge", tmp_path / "shards", "--model", other.model.path, "--db", other.db.path, "--root", made.folder)
    for option, said in (
        (("--tiles", 4), "with 4 tiles; name the same"),
        (("--provider", "abacus"), "no provider 'abacus'"),
    ):
        wrong = run(*command, *option)
        assert (wrong.exit_code, said in wrong.stderr) == (1, True)
    done = run(*command, "--quiet")
    assert (done.exit_code, done.output) == (0, "")


@pytest.mark.parametrize(
    "options", [("--engine", "spark"), ("--address", "h:1"), ("--shards", "x"), ("--gpus-per-actor", 1)]
)
def test_index_command_refuses_engine_options_without_an_engine(made, options):
    assert run("index", made.folder, "--db", made.db.path, *options).exit_code == 2
