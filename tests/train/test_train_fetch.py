"""Downloads from a server on loopback: good, wrong and interrupted files, and malicious archives."""

import gzip
import hashlib
import io
import random
import re
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from photosearch.errors import InputError
from train.data.fetch import SOURCES, File, Source, fetch, find_source, is_present


class Publisher(ThreadingHTTPServer):
    """files: path -> bytes. requests: the Range of each. limit: bytes per response before the connection closes."""

    def __init__(self):
        self.files, self.requests, self.limit, self.ranges = {}, [], None, True
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request, client_address):
        raise AssertionError("the test server failed")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.requests.append(wanted)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and self.server.ranges else 0
        if start and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:][: self.server.limit])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    publisher = Publisher()
    thread = threading.Thread(target=publisher.serve_forever, args=(0.01,))
    thread.start()
    yield publisher
    publisher.shutdown()
    thread.join()
    publisher.server_close()


def publish(server, content, *, name="birds.tar.gz", folder="birds", inner=None, unpack=True, md5=None):
    server.files[f"/{name}"] = content
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    return Source("birds", folder, (File(url, name, md5 or hashlib.md5(content).hexdigest()),), inner, unpack)


def make_tar(members):
    """name -> bytes, or a TarInfo of something other than a plain file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def make_zip(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def make_link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def read_tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


GOOD = {"birds/a.bin": b"a" * 5000, "birds/below/b.bin": bytes(range(256)) * 40, "attributes.txt": b"not needed"}
UNPACKED = {"birds/a.bin": GOOD["birds/a.bin"], "birds/below/b.bin": GOOD["birds/below/b.bin"]}


@pytest.mark.parametrize(("name", "pack"), [("birds.tar.gz", make_tar), ("birds.zip", make_zip)])
def test_fetch_unpacks_archive_to_folder(server, tmp_path, name, pack):
    birds = publish(server, pack(GOOD), name=name)

    assert fetch(birds, tmp_path) is True

    assert read_tree(tmp_path) == UNPACKED
    assert is_present(birds, tmp_path)


def test_fetch_skips_existing_folder(server, tmp_path):
    birds = publish(server, make_tar(GOOD))
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / "mine").write_bytes(b"kept")

    assert fetch(birds, tmp_path) is False

    assert (read_tree(tmp_path), server.requests) == ({"birds/mine": b"kept"}, [])


def test_fetch_unpacks_inner_archive(server, tmp_path):
    content = make_zip({"outer/birds.tar.gz": make_tar(GOOD), "__MACOSX/junk": b"junk"})
    birds = publish(server, content, name="outer.zip", inner="outer/birds.tar.gz")

    fetch(birds, tmp_path)

    assert read_tree(tmp_path) == UNPACKED


def test_fetch_keeps_plain_files(server, tmp_path):
    digits = publish(server, gzip.compress(b"digits"), name="digits.gz", folder="MNIST/raw", unpack=False)

    assert fetch(digits, tmp_path) is True
    assert fetch(digits, tmp_path) is False

    assert read_tree(tmp_path) == {"MNIST/raw/digits.gz": server.files["/digits.gz"]}
    assert len(server.requests) == 1


def test_fetch_accepts_unpacked_file(server, tmp_path):
    digits = publish(server, gzip.compress(b"digits"), name="digits.gz", folder="MNIST/raw", unpack=False)
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    (tmp_path / "MNIST/raw/digits").write_bytes(b"digits")

    assert fetch(digits, tmp_path) is False


def test_fetch_refuses_wrong_checksum(server, tmp_path):
    birds = publish(server, make_tar(GOOD), md5="0" * 32)

    with pytest.raises(InputError, match="the checksum differs from the published one"):
        fetch(birds, tmp_path)

    assert read_tree(tmp_path) == {}
    assert not is_present(birds, tmp_path)


def test_fetch_resumes_interrupted_download(server, tmp_path):
    content = make_tar({"birds/noise": random.Random(0).randbytes(200_000)})
    birds = publish(server, content)
    server.limit = third = len(content) // 3 + 1

    fetch(birds, tmp_path)

    assert server.requests == [None, f"bytes={third}-", f"bytes={2 * third}-"]
    assert (tmp_path / "birds" / "noise").stat().st_size == 200_000


def test_fetch_resumes_failed_download_on_next_call(server, tmp_path):
    content = make_tar(GOOD)
    birds = publish(server, content)
    (tmp_path / "birds.tar.gz.part").write_bytes(content[:50])
    server.limit = 0

    with pytest.raises(InputError, match="repeat the command to resume it"):
        fetch(birds, tmp_path)
    assert read_tree(tmp_path) == {"birds.tar.gz.part": content[:50]}

    server.limit = None
    fetch(birds, tmp_path)

    assert read_tree(tmp_path) == UNPACKED
    assert server.requests[-1] == "bytes=50-"


def test_fetch_starts_again_without_ranges(server, tmp_path):
    content = make_tar(GOOD)
    birds = publish(server, content)
    (tmp_path / "birds.tar.gz.part").write_bytes(content[:50])
    server.ranges = False

    fetch(birds, tmp_path)

    assert read_tree(tmp_path) == UNPACKED


def test_fetch_unpacks_complete_partial_file(server, tmp_path):
    content = make_tar(GOOD)
    birds = publish(server, content)
    (tmp_path / "birds.tar.gz.part").write_bytes(content)

    fetch(birds, tmp_path)

    assert read_tree(tmp_path) == UNPACKED


def test_fetch_names_missing_url(server, tmp_path):
    birds = publish(server, b"")
    server.files.clear()

    with pytest.raises(InputError, match=r"birds\.tar\.gz: download failed \(404"):
        fetch(birds, tmp_path)


MALICIOUS = {
    "a path upwards": ("birds.tar.gz", make_tar({"birds/a": b"a", "../outside": b"x"})),
    "a path upwards inside": ("birds.tar.gz", make_tar({"birds/a": b"a", "birds/../../outside": b"x"})),
    "a link to the outside": (
        "birds.tar.gz",
        make_tar({"birds/l": make_link("birds/l", "../../outside"), "birds/l/x": b"x"}),
    ),
    "an absolute link": ("birds.tar.gz", make_tar({"birds/l": make_link("birds/l", "/etc")})),
    "a hard link to the outside": (
        "birds.tar.gz",
        make_tar({"birds/l": make_link("birds/l", "../../x", tarfile.LNKTYPE)}),
    ),
    "a device": ("birds.tar.gz", make_tar({"birds/l": make_link("birds/l", "", tarfile.CHRTYPE)})),
    "zip: a path upwards": ("birds.zip", make_zip({"birds/a": b"a", "../outside": b"x"})),
    "zip: an absolute path": ("birds.zip", make_zip({"birds/a": b"a", "/tmp/outside-of-photosearch": b"x"})),
    "not an archive": ("birds.tar.gz", b"<html>"),
    "not a zip": ("birds.zip", b"<html>"),
    "a cut archive": ("birds.tar.gz", make_tar(GOOD)[:200]),
    "another folder": ("birds.zip", make_zip({"cats/a": b"a"})),
}


@pytest.mark.parametrize("which", MALICIOUS)
def test_fetch_refuses_malicious_or_broken_archive(server, tmp_path, which):
    name, content = MALICIOUS[which]
    birds = publish(server, content, name=name)
    data = tmp_path / "data"

    with pytest.raises(InputError, match=r"can't unpack it|contains no birds"):
        fetch(birds, data)

    assert read_tree(tmp_path) == {f"data/{name}": content}
    assert [p.name for p in data.iterdir()] == [name]
    assert not Path("/tmp/outside-of-photosearch").exists()


def test_fetch_refuses_link_in_zip(server, tmp_path):
    info = zipfile.ZipInfo("birds/link")
    info.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, "/etc")
    birds = publish(server, out.getvalue(), name="birds.zip")

    with pytest.raises(InputError, match="is a link"):
        fetch(birds, tmp_path)


def test_fetch_refuses_archive_of_excessive_size(server, tmp_path, monkeypatch):
    monkeypatch.setattr("train.data.fetch.MAX_UNPACKED_BYTES", 1000)
    birds = publish(server, make_zip({"birds/a": b"a" * 1001}), name="birds.zip")

    with pytest.raises(InputError, match="unpacked size of"):
        fetch(birds, tmp_path)


def test_sources_match_loaders_and_have_checksums():
    from train.data import caltech101, cifar10, cub, mnist, tiny_imagenet

    loaders = (cifar10, cub, mnist, tiny_imagenet, caltech101)

    assert {s.name: s.folder for s in SOURCES.values()} == {m.NAME: m.FOLDER for m in loaders}
    assert all(re.fullmatch("[0-9a-f]{32}", f.md5) for s in SOURCES.values() for f in s.files)


def test_find_source_lists_available_sets():
    with pytest.raises(InputError, match="no data set 'imagenet'; available: cifar-10, cub, mnist"):
        find_source("imagenet")
