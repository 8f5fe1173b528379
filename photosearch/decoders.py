"""Photos opened in processes of their own, so that a decoder that dies takes only its file with it.

A photo is hostile input and its decoders are C. Each thread that opens photos drives one child process; a
child that crashes, or passes its time limit, is replaced and its photo comes out as Unreadable. The two talk
over pipes in length-prefixed frames, JSON or raw pixels and never pickle: a child that a photo has taken over
must not gain a way into its parent.

    parent: {"path": ...}            child: {"hash": ...}        the file read once, or {"reason": ...}
    parent: b"decode" or b"skip"     child: {"width": ...}, then the pixels; or {"reason": ...}
"""

import contextlib
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
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np

from photosearch import photos
from photosearch.photos import Opened, Photo, Unreadable

SECONDS = 60.0  # for one photo; 48 megapixels take about a tenth of a second
MEMORY_BYTES = 2 * 2**30  # of a child beside what the pixels of the largest photo take


@dataclass(frozen=True, slots=True)
class Settings:
    """How photos are opened; the same for all photos of a run."""

    size: int
    fit: photos.Fit = "squash"
    tiles: int = 0
    max_pixels: int = photos.MAX_PIXELS


@dataclass(frozen=True, slots=True)
class Read:
    """What came of one photo: the hash of its bytes and, where it was wanted, what is in it."""

    photo: Photo
    content_hash: bytes
    opened: Opened | None


class Decoders:
    """`n` child processes that open photos. `open` may be called from `n` threads at once."""

    def __init__(self, n: int, settings: Settings, *, seconds: float = SECONDS):
        self._idle: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()
        self._all = [_Decoder(settings, seconds) for _ in range(n)]
        for decoder in self._all:
            self._idle.put(decoder)
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """Kill the children. Threads that wait for one come back with Unreadable."""
        self._closed.set()
        for decoder in self._all:
            decoder.close()

    def open(self, photo: Photo, wanted: Callable[[bytes], bool]) -> Read:
        """Read a photo and, where `wanted(content hash)`, decode it. Raises Unreadable."""
        decoder = self._idle.get()
        try:
            return decoder.open(photo, wanted)
        finally:
            self._idle.put(decoder)

    def _watch(self) -> None:
        while not self._closed.wait(0.2):
            for decoder in self._all:
                decoder.kill_if_late()


class _Died(Exception):
    """The child ended, or spoke nonsense, where it should have answered."""

    def __init__(self, cause: str, passing: bool):
        self.cause, self.passing = cause, passing


class _Decoder:
    """One child, started when it is first needed and again when it has died."""

    def __init__(self, settings: Settings, seconds: float):
        self._settings = settings
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._deadline: float | None = None
        self._closed = False

    def open(self, photo: Photo, wanted: Callable[[bytes], bool]) -> Read:
        if self._child is not None:
            # It has opened other photos before, and its death may be their fault: only a new child's word counts.
            with contextlib.suppress(_Died):
                return self._open(photo, wanted)
        try:
            return self._open(photo, wanted)
        except _Died as death:
            raise Unreadable(death.cause, passing=death.passing) from None

    def _open(self, photo: Photo, wanted: Callable[[bytes], bool]) -> Read:
        child = self._alive()
        content_hash = None
        try:
            _send(child.stdin, json.dumps({"path": photo.path}).encode())
            self._deadline = time.monotonic() + self._seconds
            content_hash = bytes.fromhex(_answer(child.stdout)["hash"])
            self._deadline = None  # looking the hash up is our own time
            if not wanted(content_hash):
                _send(child.stdin, b"skip")
                return Read(photo, content_hash, None)
            self._deadline = time.monotonic() + self._seconds
            _send(child.stdin, b"decode")
            return Read(photo, content_hash, _opened(_answer(child.stdout), _receive(child.stdout), self._settings))
        except (EOFError, OSError, ValueError, KeyError, TypeError, RecursionError):
            late = self._deadline is not None and time.monotonic() > self._deadline
            cause, passing = self._bury(child), content_hash is None
            if late:
                raise Unreadable(f"opening it took longer than {self._seconds:g} s", passing=passing) from None
            raise _Died(cause, passing) from None
        finally:
            self._deadline = None
            if self._closed:  # meanwhile
                self.kill()

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

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise Unreadable("the run was ended", passing=True)
        if self._child is None:
            settings = json.dumps(asdict(self._settings))
            self._child = subprocess.Popen(
                # -P: the folder that the user stands in must not become a place to import from.
                [sys.executable, "-P", "-m", "photosearch.decoders", settings, str(math.ceil(self._seconds))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # libtiff and libheif say there what we say in our own words
                start_new_session=True,  # Ctrl-C is the parent's to handle
            )
        return self._child

    def _bury(self, child: subprocess.Popen[bytes]) -> str:
        """End the child, if it hasn't ended, and say how it did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(1)
        code = child.returncode
        self.kill()
        return f"the decoder died of it (signal {-code})" if code and code < 0 else "the decoder died of it"


def _opened(said: dict[str, Any], pixels: bytes, settings: Settings) -> Opened:
    """What a child said, if it can be true; else ValueError, KeyError, TypeError. It may be a photo's puppet."""
    width, height, taken = said["width"], said["height"], said["taken"]
    if not all(type(side) is int and 0 < side < 2**31 for side in (width, height)):
        raise ValueError("no photo has such sides")
    if taken is not None and not re.fullmatch(r"[0-9T:-]{19}", taken):
        raise ValueError("that is not a date")
    shape = (1 + settings.tiles, settings.size, settings.size, 3)
    return Opened(np.frombuffer(pixels, np.uint8).reshape(shape), width, height, taken)


def serve(settings: Settings, seconds: int, requests: BinaryIO, answers: BinaryIO) -> None:
    """The child: answer until the parent is gone."""
    _limit_memory(settings.max_pixels)
    while True:
        _end_in(0)
        try:
            path = json.loads(_receive(requests))["path"]
        except EOFError:
            return
        try:
            _end_in(2 * seconds)
            data = photos.read(path)
            _send(answers, json.dumps({"hash": photos.content_hash(data).hex()}).encode())
            if _receive(requests) != b"decode":
                continue
            _end_in(2 * seconds)
            opened = photos.decode(
                data, settings.size, fit=settings.fit, tiles=settings.tiles, max_pixels=settings.max_pixels
            )
        except Unreadable as error:
            _send(answers, json.dumps({"reason": error.reason, "passing": error.passing}).encode())
            continue
        said = {"width": opened.width, "height": opened.height, "taken": opened.taken}
        _send(answers, json.dumps(said).encode())
        _send(answers, opened.views.data)


def _limit_memory(max_pixels: int) -> None:
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no limits, macOS none that hold
        import resource

        most = MEMORY_BYTES + 12 * max_pixels  # RGB, twice, and the file
        resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def _end_in(seconds: int) -> None:
    """Should the parent be killed while a decoder hangs, nobody else would ever end it. 0: no more."""
    if hasattr(signal, "alarm"):  # not on Windows
        signal.alarm(seconds)


def _answer(stream: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(_receive(stream))
    if "reason" in said:
        raise Unreadable(str(said["reason"])[:200], passing=bool(said["passing"]))
    return said


def _send(stream: Any, data: bytes | memoryview) -> None:
    stream.write(struct.pack("<Q", memoryview(data).nbytes))
    stream.write(data)
    stream.flush()


def _receive(stream: Any) -> bytes:
    """One frame. Raises EOFError where the other side is gone."""
    (length,) = struct.unpack("<Q", _exactly(stream, 8))
    if length > 2**30:
        raise EOFError("no frame is that long")
    return _exactly(stream, length)


def _exactly(stream: Any, length: int) -> bytes:
    data: bytes = stream.read(length)
    if len(data) < length:
        raise EOFError("the other side is gone")
    return data


if __name__ == "__main__":
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)  # whatever a library prints must not stand among the frames
        serve(Settings(**json.loads(sys.argv[1])), int(sys.argv[2]), sys.stdin.buffer, out)
