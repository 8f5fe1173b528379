"""Photos in object storage: listed, read and found by their addresses.

fsspec's storage in memory serves as a bucket; the last test uses a real S3 server, and is slow.
"""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

fsspec = pytest.importorskip("fsspec", reason="addresses need fsspec")

from library import InThisProcess, Library, Untouched, make  # noqa: E402
from toy import photo, write_toy  # noqa: E402

from photosearch import album  # noqa: E402
from photosearch.engines.store import open_store  # noqa: E402
from photosearch.errors import InputError  # noqa: E402
from photosearch.library.folders import is_present, list_roots  # noqa: E402
from photosearch.library.photos import find_missing, read_counts  # noqa: E402
from photosearch.photos import decode, remote, walk  # noqa: E402

ROOT = "memory://bucket/photos"
MAIN = "from photosearch.cli.app import main; main()"


@pytest.fixture
def bucket(tmp_path):
    """A bucket with four photos, one of them broken, and other files."""
    files = fsspec.filesystem("memory")
    for name, colour in {"red.png": "red", "2024/blue.png": "blue", "2024/a b?#*[1].png": "green"}.items():
        files.pipe_file(f"{ROOT}/{name}", photo(tmp_path / "own" / name, colour).read_bytes())
    files.pipe_file(f"{ROOT}/broken.jpg", b"no photo")
    files.pipe_file(f"{ROOT}/empty.jpg", b"")
    files.pipe_file(f"{ROOT}/film.mp4", b"film")
    files.pipe_file(f"{ROOT}/.trash/red.png", b"hidden")
    yield files
    files.rm("memory://bucket", recursive=True)


@pytest.fixture
def library(tmp_path):
    made = make(tmp_path)
    with made.db:
        yield made


def index(library: Library, **options: object) -> dict[str, list[str]]:
    events: dict[str, list[str]] = {}
    for event in library.events(ROOT, **{"decoders": InThisProcess, **options}):
        events.setdefault(type(event).__name__, []).append(event.path)
    return {kind: sorted(found) for kind, found in events.items()}


@pytest.fixture(autouse=True)
def _paths(monkeypatch):
    monkeypatch.setattr(Library, "path", lambda self, name: Path(name) if "://" not in name else name)


def test_album_copies_photos_at_addresses_that_have_not_changed(bucket, library, tmp_path):
    index(library)
    paths = [f"{ROOT}/{name}" for name in ("red.png", "2024/blue.png", "2024/a b?#*[1].png")]
    bucket.pipe_file(paths[1], bucket.cat_file(paths[0]))
    done = album.copy_to(library.db, tmp_path / "album", paths)
    assert (done.made, done.missing) == (2, ((paths[1], "has changed since it was indexed"),))
    assert sorted(p.name for p in (tmp_path / "album").iterdir()) == ["a b?#*[1].png", "red.png"]
    assert (tmp_path / "album" / "red.png").read_bytes() == bucket.cat_file(paths[0])
    done = album.link_to(library.db, tmp_path / "links", paths[:1])
    assert done.missing == ((paths[0], "is not on this machine; --copy-to copies it"),)


def test_is_address_tells_addresses_from_paths():
    assert [remote.is_address(text) for text in ("s3://b/a", "gs://b", "/s3://b", "c:/a", "s3:///a", "a.jpg")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip


def test_walk_lists_a_bucket_with_sizes_and_dates(bucket):
    folders = list(walk.walk(ROOT))
    assert [folder.path for folder in folders] == [ROOT, f"{ROOT}/2024"]
    found = {os.path.basename(p.path): p for folder in folders for p in folder.photos}
    assert sorted(found) == ["a b?#*[1].png", "blue.png", "broken.jpg", "empty.jpg", "red.png"]
    assert found["broken.jpg"].size_bytes == 8
    assert abs(found["broken.jpg"].mtime_ns / 1e9 - time.time()) < 600
    assert folders[0].skipped == {".mp4": 1}


def test_index_finds_photos_at_addresses(bucket, library):
    events = index(library)
    assert events["New"] == [f"{ROOT}/2024/a b?#*[1].png", f"{ROOT}/2024/blue.png", f"{ROOT}/red.png"]
    assert events["ReadFailed"] == [f"{ROOT}/broken.jpg", f"{ROOT}/empty.jpg"]
    assert [found.path for found in library._found("red")] == [f"{ROOT}/red.png"]
    assert [root.root for root in list_roots(library.db)] == [ROOT]
    assert "New" not in index(library, decoders=Untouched)


def test_index_notices_changes_in_a_bucket(bucket, library):
    index(library)
    bucket.mv(f"{ROOT}/red.png", f"{ROOT}/2024/rot.png")
    bucket.rm_file(f"{ROOT}/2024/blue.png")
    events = index(library)
    assert events["Moved"] == [f"{ROOT}/2024/rot.png"]
    assert events["Removed"] == [f"{ROOT}/2024/blue.png"]


def test_index_removes_nothing_if_a_bucket_does_not_answer(bucket, library, monkeypatch):
    index(library)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the network is down")

    monkeypatch.setattr(type(bucket), "ls", fail)
    events = index(library)
    assert events == {"ListFailed": [ROOT]}
    assert read_counts(library.db).photos == 5


def test_reading_a_library_uses_no_network(bucket, library, monkeypatch):
    index(library)
    monkeypatch.setattr(remote, "_open", lambda protocol: pytest.fail("a network was asked"))
    paths = [found.path for found in library._found("red")]
    assert find_missing(library.db, paths) == {}
    (root,) = list_roots(library.db)
    assert is_present(root)


def test_read_reports_missing_and_too_large_objects_like_files(bucket, monkeypatch):
    with pytest.raises(decode.Unreadable) as gone:
        decode.read(f"{ROOT}/nowhere.jpg")
    assert (gone.value.reason, gone.value.transient) == ("no such file or directory", True)
    monkeypatch.setattr(decode, "MAX_FILE_BYTES", 5)
    with pytest.raises(decode.Unreadable) as long:
        decode.read(f"{ROOT}/broken.jpg")
    assert long.value.reason.startswith("the file is longer than")
    assert not long.value.transient


def test_index_reports_an_unusable_address_in_a_line(library):
    for address, line in {
        "memory://nowhere/photos": "memory://nowhere/photos: no such folder",
        "file://tmp/photos": "file://tmp/photos: give the path of a local folder, not an address",
        "nonsense://bucket": "nonsense://: fsspec can't read it: Protocol not known: nonsense",
    }.items():
        with pytest.raises(InputError) as error:
            list(library.events(address))
        assert str(error.value) == line


def test_mtime_is_read_in_all_spellings_of_storages():
    ns = remote._mtime_ns
    noon = datetime(2024, 1, 2, 12, tzinfo=UTC)
    assert ns({"LastModified": noon}) == ns({"mtime": noon.timestamp()}) == ns({"updated": "2024-01-02T12:00:00Z"})
    assert ns({"created": datetime(2024, 1, 2, 12)}) == ns({"LastModified": noon}) == 1704196800 * 10**9
    assert ns({}) == ns({"mtime": None}) == ns({"updated": "yesterday"}) == 0


# ---- a real S3 server


@pytest.fixture
def s3(tmp_path, monkeypatch):
    pytest.importorskip("s3fs", reason="s3:// needs s3fs")
    pytest.importorskip("moto", reason="an S3 server on loopback needs moto")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    remote._open.cache_clear()
    files = remote.open_files("s3://photos")
    files.mkdir("photos")
    yield files
    server.stop()
    remote._open.cache_clear()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the server's libraries
def test_index_command_reads_a_real_bucket(s3, tmp_path):
    for name, colour in {"red.png": "red", "2024/blue.png": "blue"}.items():
        s3.pipe_file(f"s3://photos/{name}", photo(tmp_path / name, colour).read_bytes())
    s3.pipe_file("s3://photos/broken.jpg", b"no photo")
    model, db = write_toy(tmp_path / "toy.onnx"), tmp_path / "library.db"

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-c", MAIN, *map(str, arguments), "--db", str(db)]
        return subprocess.run(command, capture_output=True, text=True)

    done = run("index", "s3://photos", "--model", model, "--provider", "cpu", "--json")
    assert done.returncode == 0, done.stderr
    assert {k: v for k, v in json.loads(done.stdout).items() if v and k in ("new", "unreadable")} == {
        "new": 2, "unreadable": 1,
    }  # fmt: skip
    assert run("find", "red", "--paths").stdout == "s3://photos/red.png\n"
    again = json.loads(run("index", "--json").stdout)
    assert (again["unchanged"], again["unreadable"], again["new"]) == (2, 1, 0)


class Deep:
    """A storage whose `ls` gives what lies deeper, too, as some do for keys that end in /."""

    def ls(self, address, detail):
        names = ["", "a.png", "sub/b.png", "sub", "x.parquet", "sub/y.parquet", "z.parquet"]
        folders = {"", "sub", "z.parquet"}
        return [
            {"name": f"bucket/{name}", "type": "directory" if name in folders else "file", "size": 5} for name in names
        ]

    def _strip_protocol(self, address):
        return address.removeprefix("memory://")


def test_listing_of_a_bucket_with_deeper_names_gives_the_folders_own(monkeypatch):
    """A deeper name would be read as a photo of this folder, at an address that is none."""
    monkeypatch.setattr(remote, "open_files", lambda address: Deep())
    assert [name for name, *_ in remote.list_folder("memory://bucket")] == ["a.png", "sub", "x.parquet", "z.parquet"]
    assert list(open_store("memory://bucket").names()) == ["x.parquet"]
