"""Download a data set from its publisher, verify its checksum, unpack it; each step completely or not at all.

    python -m train data --fetch cifar-10 cub mnist --to .data

Checksums: the publishers' MD5s (CIFAR-10's page, CaltechDATA's records); for MNIST and tiny-imagenet those in the
loaders of torchvision and avalanche. An interrupted download resumes. An archive is unpacked into a temporary folder,
which members must not leave, and renamed when complete, so an existing folder is always complete. Existing folders are
not changed.
"""

import os
import shutil
import stat
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from photosearch.errors import InputError

TIMEOUT_SECONDS = 30  # without data
ATTEMPTS = 5  # for one file, each resuming the last one
CHUNK_BYTES = 1 << 16
MAX_UNPACKED_BYTES = 8 << 30  # of one archive; the largest here, CUB's, is 1.2 GB


@dataclass(frozen=True, slots=True)
class File:
    """One download. name: on disk. md5: 32 hexadecimal digits."""

    url: str
    name: str
    md5: str


@dataclass(frozen=True, slots=True)
class Source:
    """A data set. folder: below the data folder. inner: the archive within the archive that contains it.

    unpack: False if the files themselves are the data set.
    """

    name: str
    folder: str
    files: tuple[File, ...]
    inner: str | None = None
    unpack: bool = True


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"  # PyTorch's copy; the publisher's page is offline
SOURCES = {
    source.name: source
    for source in (
        Source("cifar-10", "cifar-10-batches-bin", (
            File("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                 "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
        )),
        Source("cub", "CUB_200_2011", (
            File("https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz?download=1",
                 "CUB_200_2011.tgz", "97eceeb196236b17998738112f37df78"),
        )),
        Source("mnist", "MNIST/raw", tuple(
            File(f"{_MNIST}{name}", name, md5) for name, md5 in (
                ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
                ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
                ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
                ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
            )
        ), unpack=False),
        Source("tiny-imagenet", "tiny-imagenet-200", (
            File("http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                 "tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de"),
        )),
        Source("caltech-101", "101_ObjectCategories", (
            File("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip?download=1",
                 "caltech-101.zip", "3138e1922a9193bfa496528edbbc45d0"),
        ), inner="caltech-101/101_ObjectCategories.tar.gz"),
    )
}  # fmt: skip


def find_source(name: str) -> Source:
    """The data set of that name. Raises InputError."""
    if name not in SOURCES:
        raise InputError(f"no data set {name!r}; available: {', '.join(SOURCES)}")
    return SOURCES[name]


def is_present(source: Source, data: Path) -> bool:
    """Whether the set is below `data`, unpacked."""
    folder = data / source.folder
    if source.unpack:
        return folder.is_dir()
    return all((folder / f.name).is_file() or (folder / f.name.removesuffix(".gz")).is_file() for f in source.files)


def fetch(source: Source, data: Path) -> bool:
    """Download the set to `data`. Returns False if it was present. Raises InputError."""
    if is_present(source, data):
        return False
    folder = data / source.folder
    if not source.unpack:
        for file in source.files:
            _download(file, folder)
        return True
    (file,) = source.files
    archive = _download(file, data)
    _unpack_aside(archive, source, data)
    archive.unlink()
    return True


def _download(file: File, folder: Path) -> Path:
    """-> the file in `folder`, its checksum verified. Raises InputError; the next call resumes a partial file."""
    folder.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("WARNING")  # replaced by the progress bar
    try:
        got = pooch.retrieve(
            file.url, f"md5:{file.md5}", fname=file.name, path=folder, downloader=Resuming(folder / f"{file.name}.part")
        )
    except ValueError as error:
        if "hash" not in str(error):
            raise
        raise InputError(f"{file.url}: the checksum differs from the published one; try again later") from None
    except requests.RequestException as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(f"{file.url}: download failed ({reason}); repeat the command to resume it") from None
    except OSError as error:
        raise InputError(f"{folder}: can't write to this folder: {error.strerror}") from None
    return Path(got)


class Resuming:
    """A downloader for pooch that keeps a partial file in `part` and requests only the rest."""

    def __init__(self, part: Path):
        self.part = part

    def __call__(self, url: str, output_file: Any, pooch: object = None) -> None:
        with _progress() as progress:
            task = progress.add_task(self.part.stem, total=None)
            for attempt in range(1, ATTEMPTS + 1):
                before = self._size()
                try:
                    self._rest(url, progress, task)
                    break
                except (requests.ConnectionError, requests.Timeout):
                    if attempt == ATTEMPTS or self._size() == before:  # without any progress, another attempt is futile
                        raise
        self.part.replace(output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _rest(self, url: str, progress: Progress, task: Any) -> None:
        had = self._size()
        # identity: the stored bytes, so that an offset is meaningful.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={had}-"} if had else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
            if response.status_code == 416:  # nothing left: the file is complete, or wrong
                return
            response.raise_for_status()
            if response.status_code != 206 or not response.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
                had = 0
            total = int(response.headers["Content-Length"]) + had if "Content-Length" in response.headers else None
            progress.update(task, total=total, completed=had)
            response.raw.enforce_content_length = False  # True would drop the last bytes; the length is checked below
            with self.part.open("ab" if had else "wb") as out:
                try:
                    for chunk in response.iter_content(CHUNK_BYTES):
                        out.write(chunk)
                        progress.update(task, advance=len(chunk))
                except requests.exceptions.ChunkedEncodingError as error:  # interrupted
                    raise requests.ConnectionError(str(error)) from None
        if total is not None and self._size() < total:
            raise requests.ConnectionError(f"interrupted after {self._size():,} of {total:,} bytes")


def _unpack_aside(archive: Path, source: Source, data: Path) -> None:
    aside = data / f".{source.name}.unpacking"
    shutil.rmtree(aside, ignore_errors=True)  # of a killed run
    try:
        _unpack(archive, aside)
        if source.inner:
            _unpack(aside / source.inner, aside)
        folder = aside / source.folder
        if not folder.is_dir():
            raise InputError(f"{archive}: contains no {source.folder}; delete it and fetch {source.name} again")
        folder.replace(data / source.folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unpack(archive: Path, to: Path) -> None:
    to.mkdir(exist_ok=True)
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as members:
                _check_zip(members, to)
                members.extractall(to)
        else:
            with tarfile.open(archive) as members:
                _check_size(sum(m.size for m in members.getmembers()))
                members.extractall(to, filter="data")  # refuses links and paths out of `to`, and devices
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, ValueError) as error:
        raise InputError(f"{archive}: can't unpack it: {error}; delete it and fetch again") from None


def _check_zip(members: zipfile.ZipFile, to: Path) -> None:
    root = os.path.realpath(to)
    for member in members.infolist():
        path = os.path.realpath(os.path.join(root, member.filename))
        if os.path.commonpath([root, path]) != root or "\\" in member.filename:
            raise ValueError(f"{member.filename!r} is outside the destination")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(f"{member.filename!r} is a link")
    _check_size(sum(m.file_size for m in members.infolist()))


def _check_size(size_bytes: int) -> None:
    if size_bytes > MAX_UNPACKED_BYTES:
        raise ValueError(f"unpacked size of {size_bytes >> 20:,} MiB, more than {MAX_UNPACKED_BYTES >> 20:,}")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
