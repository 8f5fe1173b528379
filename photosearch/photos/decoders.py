"""Photos are decoded in child processes, so that a crashing decoder loses only its own file.

Photos are hostile input and their decoders are written in C. Each thread that opens photos drives one child process; a
child that crashes or exceeds its time limit is replaced, and its photo is Unreadable. They talk over pipes in
length-prefixed frames, JSON or raw pixels, never pickle: a child that a photo has taken over must not gain a way into
its parent.

    parent: {"path": ..., "beside": [...]}, its side-cars' names
                                    child: {"hash": ...}   the file was read; or {"reason": ...}
    parent: [0, 2], view indexes    child: {"width": ...}, then the pixels of each view; or {"reason": ...}

    An empty list is not answered: the photo is not wanted. If a photo takes more memory than the child's share, the
    child answers {"bytes": ...} and waits until the parent sends "go on", when no other large photo is being decoded.

    parent: {"path": ..., "beside": [...], "metadata": true}    child: {"metadata": ...}, or {"reason": ...}
"""

import contextlib
import functools
import json
import math
import os
import queue
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import IO, Any, BinaryIO, TypeVar

import numpy as np

from photosearch.metadata.dates import SOURCES
from photosearch.metadata.record import PhotoMetadata
from photosearch.metadata.sidecars import max_bytes
from photosearch.photos import blocks, decode, remote
from photosearch.photos.decode import DecodedPhoto, TooLarge, Unreadable, ViewSpec
from photosearch.photos.walk import Photo

_Answer = dict[str, Any]  # a child's JSON, unchecked
_T = TypeVar("_T")
SelectViews = Callable[[bytes], Sequence[int]]  # content hash -> indexes of the wanted views; none: don't decode

FEW = 8  # photos that one child opens before the others are started: a start costs as much as a dozen large photos
# One thread is enough for what numpy does here. glibc keeps the memory of a photo for the next.
ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(128 << 20)
}  # fmt: skip
TIMEOUT_SECONDS = 60.0  # for one photo; 48 megapixels take about a tenth of a second
CHILD_BYTES = 2 * 2**30  # of memory of a child, in addition to the pixels of the largest photo
MIN_SHARE_BYTES, MIN_LARGE_BYTES = 64 * 2**20, 2**30  # of pixels, for each child and for one alone, on any machine
UNKNOWN_MEMORY_BYTES = 8 * 2**30  # assumed where the system doesn't say
MAX_FRAME_BYTES = 2**30
MAX_REASON_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How the photos of a run are decoded.

    view_specs: of all its networks. max_bytes: of memory, for a photo that is decoded alone.
    """

    view_specs: tuple[ViewSpec, ...]
    max_pixels: int = decode.MAX_PIXELS
    max_bytes: int = decode.MAX_DECODE_BYTES

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "DecodeOptions":
        raw = json.loads(text)
        return cls(tuple(ViewSpec(**spec) for spec in raw["view_specs"]), raw["max_pixels"], raw["max_bytes"])


@dataclass(frozen=True, slots=True)
class OpenResult:
    """One photo: the hash of its bytes and, if views were wanted, its pixels and metadata.

    view_indexes: into DecodeOptions.view_specs, one for each of `decoded.views`.
    """

    photo: Photo
    content_hash: bytes
    decoded: DecodedPhoto | None
    view_indexes: tuple[int, ...] = ()


class DecoderPool:
    """`n` child processes that decode photos. `open` may be called from `n` threads at once.

    Together they use about an eighth of the machine's memory for pixels. A photo that needs more than its child's share
    is decoded while no other such photo is, with up to a quarter of the memory.
    """

    def __init__(
        self,
        n: int,
        options: DecodeOptions,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        pools: int = 1,
        memory_bytes: int | None = None,
        min_bytes: tuple[int, int] = (MIN_SHARE_BYTES, MIN_LARGE_BYTES),
    ):
        """pools: the number of such pools on this machine, which share its memory.

        memory_bytes: of the machine; default: as the system says. min_bytes: of pixels, for each child and for one
        that decodes a large photo alone.
        """
        self._idle: queue.LifoQueue[_Decoder] = queue.LifoQueue()
        memory, (min_share, min_large) = (memory_bytes or _read_memory_bytes()) // pools, min_bytes
        options = replace(options, max_bytes=min(options.max_bytes, max(memory // 4, min_large)))
        share, large = min(options.max_bytes, max(memory // 8 // n, min_share)), threading.Lock()
        self._all = [_Decoder(options, share, large, timeout_seconds) for _ in range(n)]
        self._unused, self._asked, self._lock = self._all[1:], 0, threading.Lock()
        self._idle.put(self._all[0])
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """Kill the children. Threads that wait for one get Unreadable."""
        self._closed.set()
        for decoder in self._all:
            decoder.close()

    def open(self, photo: Photo, select_views: SelectViews) -> OpenResult:
        """Read a photo, and decode it for the views that `select_views(content hash)` gives, if any.

        Raises Unreadable.
        """
        decoder = self._take()
        try:
            return decoder.open(photo, select_views)
        finally:
            self._idle.put(decoder)

    def read_metadata(self, path: str, beside: Sequence[str] = ()) -> PhotoMetadata:
        """What a photo's own file says of it, without its pixels. Raises Unreadable.

        beside: names of side-cars in its folder, whose facts count too.
        """
        decoder = self._take()
        try:
            return decoder.read_metadata(path, beside)
        finally:
            self._idle.put(decoder)

    def start(self) -> None:
        """Start the children now instead of with the first photos, for which a user may wait. From any thread."""
        self._use_all()
        taken = []
        with contextlib.suppress(queue.Empty, Unreadable):
            for _ in self._all:
                taken.append(self._idle.get_nowait())
                taken[-1].start()
        for decoder in taken:
            self._idle.put(decoder)

    def _take(self) -> "_Decoder":
        self._asked += 1
        if self._asked > FEW:
            self._use_all()
        return self._idle.get()

    def _use_all(self) -> None:
        with self._lock:
            unused, self._unused = self._unused, []
        for decoder in reversed(unused):
            self._idle.put(decoder)

    def _watch(self) -> None:
        while not self._closed.wait(0.2):
            for decoder in self._all:
                decoder.kill_if_late()


class _Crashed(Exception):
    """The child ended, or answered nonsense."""

    def __init__(self, reason: str, transient: bool):
        self.reason, self.transient = reason, transient


class _Decoder:
    """One child, started when it is first needed, and again after it crashed."""

    def __init__(self, options: DecodeOptions, share_bytes: int, large: threading.Lock, timeout_seconds: float):
        """share_bytes: of memory for pixels. large: held while a photo that takes more is decoded."""
        self._options, self._share_bytes, self._large = options, share_bytes, large
        self._timeout_seconds = timeout_seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._deadline: float | None = None
        self._closed = False
        self._has_read = False  # whether the child has read the photo's file

    def open(self, photo: Photo, select_views: SelectViews) -> OpenResult:
        return self._talk_twice(lambda child: self._open(child, photo, select_views))

    def read_metadata(self, path: str, beside: Sequence[str]) -> PhotoMetadata:
        return self._talk_twice(lambda child: self._read_metadata(child, path, beside))

    def _talk_twice(self, talk: Callable[[subprocess.Popen[bytes]], _T]) -> _T:
        if self._child is not None:
            # An earlier photo may have caused the crash: only a new child's counts.
            with contextlib.suppress(_Crashed):
                return self._talk(talk)
        try:
            return self._talk(talk)
        except _Crashed as crash:
            raise Unreadable(crash.reason, transient=crash.transient) from None

    def _open(self, child: subprocess.Popen[bytes], photo: Photo, select_views: SelectViews) -> OpenResult:
        _send(child.stdin, json.dumps({"path": photo.path, "beside": photo.beside}).encode())
        self._set_deadline()
        content_hash = bytes.fromhex(_receive_answer(child.stdout)["hash"])
        self._has_read = True
        self._deadline = None  # select_views takes our time, not the child's
        indexes = tuple(select_views(content_hash))
        view_specs = [self._options.view_specs[i] for i in indexes]
        if view_specs:
            self._set_deadline()
        _send(child.stdin, json.dumps(indexes).encode())
        if not view_specs:
            return OpenResult(photo, content_hash, None)
        return OpenResult(photo, content_hash, self._receive_photo(child, view_specs), indexes)

    def _read_metadata(self, child: subprocess.Popen[bytes], path: str, beside: Sequence[str]) -> PhotoMetadata:
        _send(child.stdin, json.dumps({"path": path, "beside": beside, "metadata": True}).encode())
        self._set_deadline()
        return PhotoMetadata.from_json(_receive_answer(child.stdout)["metadata"])

    def _talk(self, talk: Callable[[subprocess.Popen[bytes]], _T]) -> _T:
        child = self._ensure_child()
        self._has_read = False
        try:
            return talk(child)
        except Unreadable:
            raise
        except (EOFError, OSError, ValueError, KeyError, TypeError, RecursionError):
            late = self._deadline is not None and time.monotonic() > self._deadline
            reason, transient = self._end_child(child), not self._has_read
            if late:
                reason = f"opening it took longer than {self._timeout_seconds:g} s"
                raise Unreadable(reason, transient=transient) from None
            raise _Crashed(reason, transient) from None
        except BaseException:  # from select_views: the child still waits for an answer
            self.kill()
            raise
        finally:
            self._deadline = None
            if self._closed:  # meanwhile
                self.kill()

    def _receive_photo(self, child: subprocess.Popen[bytes], view_specs: Sequence[ViewSpec]) -> DecodedPhoto:
        answer = _receive_answer(child.stdout)
        if "bytes" not in answer:
            return _check_photo(answer, [_receive(child.stdout) for _ in view_specs], view_specs)
        self._deadline = None  # while other large photos are decoded
        with self._large:
            self._set_deadline()
            _send(child.stdin, b"go on")
            answer = _receive_answer(child.stdout)
            return _check_photo(answer, [_receive(child.stdout) for _ in view_specs], view_specs)

    def _set_deadline(self) -> None:
        self._deadline = time.monotonic() + self._timeout_seconds

    def start(self) -> None:
        self._ensure_child()

    def close(self) -> None:
        self._closed = True
        self.kill()

    def kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                with contextlib.suppress(OSError):
                    pipe.close()  # type: ignore[union-attr]

    def kill_if_late(self) -> None:
        """Called from the watching thread; the thread that waits for the child then finds its pipe closed."""
        deadline, child = self._deadline, self._child
        if deadline is not None and child is not None and time.monotonic() > deadline:
            child.kill()

    def _ensure_child(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise Unreadable("the run was ended", transient=True)
        if self._child is None:
            self._child = subprocess.Popen(
                # -P: nothing is imported from the current folder.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "photosearch.photos.decoders",
                    self._options.to_json(),
                    str(self._share_bytes),
                    str(math.ceil(self._timeout_seconds)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # warnings of libtiff and libheif; we give our own reason
                start_new_session=True,  # Ctrl-C is handled by the parent
                env={**os.environ, **ENVIRONMENT},
            )
        return self._child

    def _end_child(self, child: subprocess.Popen[bytes]) -> str:
        """Kill the child if it is still running -> how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)
        code = child.returncode
        self.kill()
        signal_text = f" (signal {-code})" if code and code < 0 else ""
        return f"the decoder crashed on this file{signal_text}"


def _check_photo(answer: _Answer, pixels: Sequence[bytes], view_specs: Sequence[ViewSpec]) -> DecodedPhoto:
    """A child's answer, validated: a malicious photo may control the child. Raises ValueError, KeyError, TypeError."""
    width, height, fingerprint = answer["width"], answer["height"], answer["fingerprint"]
    if not all(type(side) is int and 0 < side < 2**31 for side in (width, height)):
        raise ValueError("invalid width or height")
    if type(fingerprint) is not int or not 0 <= fingerprint < 2**64:
        raise ValueError("invalid fingerprint")
    taken, taken_from = answer["taken"], answer["taken_from"]
    if taken is not None and not re.fullmatch(r"[0-9T:-]{19}", taken):
        raise ValueError("invalid date")
    if (taken is None) != (taken_from is None) or taken_from not in (None, *SOURCES):
        raise ValueError("taken_from without a date, or from an unknown source")
    damage = answer["damage"]
    if damage is not None and not re.fullmatch(rf"{decode.DAMAGED}[0-9]{{1,2}} % of the picture is there", damage):
        raise ValueError("invalid damage")
    shapes = [(1 + spec.tiles, spec.size, spec.size, 3) for spec in view_specs]
    views = tuple(np.frombuffer(p, np.uint8).reshape(shape) for p, shape in zip(pixels, shapes, strict=True))
    metadata = PhotoMetadata.from_json(answer["metadata"]).shorten()
    return DecodedPhoto(views, width, height, taken, taken_from, fingerprint, damage, metadata)


def serve(
    options: DecodeOptions, share_bytes: int, timeout_seconds: int, requests: BinaryIO, answers: BinaryIO
) -> None:
    """The child: answer until the parent is gone. share_bytes: of memory that a decode takes without asking."""
    _limit_memory(options.max_pixels)
    while True:
        _set_alarm(0)
        try:
            request = json.loads(_receive(requests))
        except EOFError:
            return
        path = request["path"]
        try:
            _set_alarm(2 * timeout_seconds)
            if "metadata" in request:
                found = decode.read_metadata(path, list(_read_beside(path, request["beside"])))
                _send(answers, json.dumps({"metadata": found.to_json()}).encode())
                continue
            data = decode.read(path)
            _send(answers, json.dumps({"hash": decode.content_hash(data).hex()}).encode())
            view_specs = [options.view_specs[i] for i in json.loads(_receive(requests))]
            if not view_specs:
                continue
            _set_alarm(2 * timeout_seconds)
            decode_photo = functools.partial(
                decode.decode, data, view_specs, max_pixels=options.max_pixels, name=os.path.basename(path),
                beside=list(_read_beside(path, request["beside"])),
            )  # fmt: skip
            try:
                photo = decode_photo(max_bytes=share_bytes)
            except TooLarge as error:
                if error.memory_bytes > options.max_bytes:
                    raise
                _set_alarm(0)  # it may wait long for its turn
                _send(answers, json.dumps({"bytes": error.memory_bytes}).encode())
                _receive(requests)
                _set_alarm(2 * timeout_seconds)
                photo = decode_photo(max_bytes=options.max_bytes)
        except Unreadable as error:
            _send(answers, json.dumps({"reason": error.reason, "transient": error.transient}).encode())
            continue
        keys = ("width", "height", "taken", "taken_from", "fingerprint", "damage")
        answer = {key: getattr(photo, key) for key in keys} | {"metadata": photo.metadata.to_json()}
        _send(answers, json.dumps(answer).encode())
        for view in photo.views:
            _send(answers, view.data)


def _read_beside(path: str, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of a photo's side-cars; one that can't be read is as if it weren't there."""
    for name in names:
        beside = os.path.join(os.path.dirname(path), name)
        with contextlib.suppress(OSError):
            if remote.is_address(path):
                yield name, remote.read(beside, max_bytes(name))
            elif (data := blocks.read_file(beside, max_bytes(name))) is not None:
                yield name, data


def _read_memory_bytes() -> int:
    """The machine's memory, in bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return UNKNOWN_MEMORY_BYTES


def _limit_memory(max_pixels: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no limits; macOS doesn't enforce them
        import resource

        max_bytes = CHILD_BYTES + 12 * max_pixels  # RGB, twice, and the file
        resource.setrlimit(resource.RLIMIT_AS, (max_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _set_alarm(seconds: int) -> None:
    """Kill this child after `seconds` even if the parent is gone; 0 cancels."""
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(seconds)


def _receive_answer(stream: IO[bytes] | None) -> _Answer:
    """Raises Unreadable where the child gives a reason; else what an ended or lying child causes."""
    answer: _Answer = json.loads(_receive(stream))
    if "reason" in answer:
        raise Unreadable(str(answer["reason"])[:MAX_REASON_CHARACTERS], transient=bool(answer["transient"]))
    return answer


def _send(stream: IO[bytes] | None, data: bytes | memoryview) -> None:
    assert stream is not None
    stream.write(struct.pack("<Q", memoryview(data).nbytes))
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes] | None) -> bytes:
    """One frame. Raises EOFError if the other side is gone."""
    assert stream is not None
    (length,) = struct.unpack("<Q", _read_exactly(stream, 8))
    if length > MAX_FRAME_BYTES:
        raise EOFError("the frame is too long")
    return _read_exactly(stream, length)


def _read_exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError("the other side is gone")
    return data


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # what a library prints must not get between the frames
        serve(DecodeOptions.from_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.stdin.buffer, out)
