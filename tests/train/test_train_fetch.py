"""Fetching, against a server on loopback: good files, wrong ones, cut ones, and archives that mean harm."""

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
from train.data.fetch import SOURCES, File, Source, fetch, present, source


class Publisher(ThreadingHTTPServer):
    """files: path -> bytes. asked: the Range of each request. cut: so many bytes of an answer, then the line is cut."""

    def __init__(self):
        self.files, self.asked, self.cut, self.ranges = {}, [], None, True
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request, client_address):
        raise AssertionError("the server of the test failed")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
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
        self.wfile.write(content[start:][: self.server.cut])

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


def offered(server, content, *, name="birds.tar.gz", folder="birds", inner=None, unpack=True, md5=None):
    server.files[f"/{name}"] = content
    url = f"http://127.0.0.1:{server.server_port}/{name}"
    return Source("birds", folder, (File(url, name, md5 or hashlib.md5(content).hexdigest()),), inner, unpack)


def tar(members):
    """name -> bytes, or a TarInfo for anything that isn't a plain file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return out.getvalue()


def zipped(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


GOOD = {"birds/a.bin": b"a" * 5000, "birds/below/b.bin": bytes(range(256)) * 40, "attributes.txt": b"not asked for"}
UNPACKED = {"birds/a.bin": GOOD["birds/a.bin"], "birds/below/b.bin": GOOD["birds/below/b.bin"]}


@pytest.mark.parametrize(("name", "pack"), [("birds.tar.gz", tar), ("birds.zip", zipped)])
def test_a_good_archive_becomes_its_folder_and_nothing_else(server, tmp_path, name, pack):
    birds = offered(server, pack(GOOD), name=name)

    assert fetch(birds, tmp_path) is True

    assert tree(tmp_path) == UNPACKED
    assert present(birds, tmp_path)


def test_what_is_there_already_is_not_asked_for(server, tmp_path):
    birds = offered(server, tar(GOOD))
    (tmp_path / "birds").mkdir()
    (tmp_path / "birds" / "mine").write_bytes(b"kept")

    assert fetch(birds, tmp_path) is False

    assert (tree(tmp_path), server.asked) == ({"birds/mine": b"kept"}, [])


def test_an_archive_within_an_archive_is_unpacked_too(server, tmp_path):
    content = zipped({"outer/birds.tar.gz": tar(GOOD), "__MACOSX/junk": b"junk"})
    birds = offered(server, content, name="outer.zip", inner="outer/birds.tar.gz")

    fetch(birds, tmp_path)

    assert tree(tmp_path) == UNPACKED


def test_a_set_of_plain_files_is_kept_as_it_came(server, tmp_path):
    digits = offered(server, gzip.compress(b"digits"), name="digits.gz", folder="MNIST/raw", unpack=False)

    assert fetch(digits, tmp_path) is True
    assert fetch(digits, tmp_path) is False

    assert tree(tmp_path) == {"MNIST/raw/digits.gz": server.files["/digits.gz"]}
    assert len(server.asked) == 1


def test_an_unpacked_digit_file_counts_as_there(server, tmp_path):
    digits = offered(server, gzip.compress(b"digits"), name="digits.gz", folder="MNIST/raw", unpack=False)
    (tmp_path / "MNIST/raw").mkdir(parents=True)
    (tmp_path / "MNIST/raw/digits").write_bytes(b"digits")

    assert fetch(digits, tmp_path) is False


def test_a_wrong_checksum_is_said_and_leaves_nothing(server, tmp_path):
    birds = offered(server, tar(GOOD), md5="0" * 32)

    with pytest.raises(InputError, match="another checksum than the published one"):
        fetch(birds, tmp_path)

    assert tree(tmp_path) == {}
    assert not present(birds, tmp_path)


def test_a_line_that_is_cut_is_taken_up_where_it_was_cut(server, tmp_path):
    content = tar({"birds/noise": random.Random(0).randbytes(200_000)})
    birds = offered(server, content)
    server.cut = third = len(content) // 3 + 1

    fetch(birds, tmp_path)

    assert server.asked == [None, f"bytes={third}-", f"bytes={2 * third}-"]
    assert (tmp_path / "birds" / "noise").stat().st_size == 200_000


def test_a_download_that_failed_goes_on_at_the_next_command(server, tmp_path):
    content = tar(GOOD)
    birds = offered(server, content)
    (tmp_path / "birds.tar.gz.part").write_bytes(content[:50])
    server.cut = 0

    with pytest.raises(InputError, match="the same command goes on where it stopped"):
        fetch(birds, tmp_path)
    assert tree(tmp_path) == {"birds.tar.gz.part": content[:50]}

    server.cut = None
    fetch(birds, tmp_path)

    assert tree(tmp_path) == UNPACKED
    assert server.asked[-1] == "bytes=50-"


def test_a_server_that_knows_no_ranges_sends_it_all_again(server, tmp_path):
    content = tar(GOOD)
    birds = offered(server, content)
    (tmp_path / "birds.tar.gz.part").write_bytes(content[:50])
    server.ranges = False

    fetch(birds, tmp_path)

    assert tree(tmp_path) == UNPACKED


def test_a_download_that_was_whole_but_not_unpacked_is_not_sent_again(server, tmp_path):
    content = tar(GOOD)
    birds = offered(server, content)
    (tmp_path / "birds.tar.gz.part").write_bytes(content)

    fetch(birds, tmp_path)

    assert tree(tmp_path) == UNPACKED


def test_a_page_that_is_gone_is_one_line(server, tmp_path):
    birds = offered(server, b"")
    server.files.clear()

    with pytest.raises(InputError, match=r"birds\.tar\.gz: can't download it \(404"):
        fetch(birds, tmp_path)


HARMFUL = {
    "a path upwards": ("birds.tar.gz", tar({"birds/a": b"a", "../outside": b"x"})),
    "a path upwards within": ("birds.tar.gz", tar({"birds/a": b"a", "birds/../../outside": b"x"})),
    "a link to the outside": ("birds.tar.gz", tar({"birds/l": link("birds/l", "../../outside"), "birds/l/x": b"x"})),
    "an absolute link": ("birds.tar.gz", tar({"birds/l": link("birds/l", "/etc")})),
    "a hard link to the outside": ("birds.tar.gz", tar({"birds/l": link("birds/l", "../../x", tarfile.LNKTYPE)})),
    "a device": ("birds.tar.gz", tar({"birds/l": link("birds/l", "", tarfile.CHRTYPE)})),
    "zip: a path upwards": ("birds.zip", zipped({"birds/a": b"a", "../outside": b"x"})),
    "zip: an absolute path": ("birds.zip", zipped({"birds/a": b"a", "/tmp/outside-of-photosearch": b"x"})),
    "not an archive": ("birds.tar.gz", b"<html>"),
    "not a zip": ("birds.zip", b"<html>"),
    "a cut archive": ("birds.tar.gz", tar(GOOD)[:200]),
    "another folder": ("birds.zip", zipped({"cats/a": b"a"})),
}


@pytest.mark.parametrize("which", HARMFUL)
def test_an_archive_that_means_harm_or_is_broken_leaves_nothing_outside_and_no_folder(server, tmp_path, which):
    name, content = HARMFUL[which]
    birds = offered(server, content, name=name)
    data = tmp_path / "data"

    with pytest.raises(InputError, match=r"not unpacked|holds no birds"):
        fetch(birds, data)

    assert tree(tmp_path) == {f"data/{name}": content}
    assert [p.name for p in data.iterdir()] == [name]
    assert not Path("/tmp/outside-of-photosearch").exists()


def test_a_link_in_a_zip_is_refused(server, tmp_path):
    info = zipfile.ZipInfo("birds/link")
    info.external_attr = 0o120777 << 16
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(info, "/etc")
    birds = offered(server, out.getvalue(), name="birds.zip")

    with pytest.raises(InputError, match="is a link"):
        fetch(birds, tmp_path)


def test_an_archive_that_swells_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr("train.data.fetch.MAX_UNPACKED_BYTES", 1000)
    birds = offered(server, zipped({"birds/a": b"a" * 1001}), name="birds.zip")

    with pytest.raises(InputError, match="it would unpack to"):
        fetch(birds, tmp_path)


def test_every_published_set_has_a_checksum_and_a_folder_that_its_loader_reads():
    from train.data import caltech101, cifar10, cub, mnist, tiny_imagenet

    loaders = (cifar10, cub, mnist, tiny_imagenet, caltech101)

    assert {s.name: s.folder for s in SOURCES.values()} == {m.NAME: m.FOLDER for m in loaders}
    assert all(re.fullmatch("[0-9a-f]{32}", f.md5) for s in SOURCES.values() for f in s.files)


def test_a_set_that_nobody_knows_lists_those_that_are_known():
    with pytest.raises(InputError, match="no data set 'imagenet': there are cifar-10, cub, mnist"):
        source("imagenet")
