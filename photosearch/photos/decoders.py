"""Photos opened in processes of their own, so that a decoder that dies takes only its file with it.

A photo is hostile input and its decoders are C. Each thread that opens photos drives one child process; a
child that crashes, or passes its time limit, is replaced and its photo comes out as Unreadable. The two talk
over pipes in length-prefixed frames, JSON or raw pixels and never pickle: a child that a photo has taken over
must not gain a way into its parent.

    parent: {"path": ...}            child: {"hash": ...}        the file read once, or {"reason": ...}
    parent: [0, 2], needs' indexes   child: {"width": ...}, then the pixels for each need; or {"reason": ...}

    An empty list of needs is not answered: the photo is not wanted. A photo that takes more memory than each child
    has is answered by {"bytes": ...}, and again once the parent has said "go on": that no other one is being decoded.
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
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO

import numpy as np

from photosearch.photos import dates, decode
from photosearch.photos.decode import DecodedPhoto, TakesTooMuch, Unreadable, ViewSpec
from photosearch.photos.walk import Photo

SECONDS = 60.0  # for one photo; 48 megapixels take about a tenth of a second
Wanted = Callable[[bytes], Sequence[int]]  # content hash -> indexes of the needs that are wanted; none: don't decode
MEMORY_BYTES = 2 * 2**30  # of a child beside what the pixels of the largest photo take
LEAST_EACH, LEAST_ALONE = 64 * 2**20, 2**30  # bytes of pixels, however small the machine
MEMORY_UNKNOWN = 8 * 2**30


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How photos are opened, the same for all photos of a run. needs: of all networks that may look at one."""

    needs: tuple[ViewSpec, ...]
    max_pixels: int = decode.MAX_PIXELS
    max_bytes: int = decode.MAX_DECODED  # at most, of a photo that is opened alone

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "DecodeOptions":
        said = json.loads(text)
        return cls(tuple(ViewSpec(**need) for need in said["needs"]), said["max_pixels"], said["max_bytes"])


@dataclass(frozen=True, slots=True)
class OpenResult:
    """What came of one photo: the hash of its bytes and, where it was wanted, what is in it.

    needs: the indexes of the needs that `opened.views` answers, in the same order.
    """

    photo: Photo
    content_hash: bytes
    opened: DecodedPhoto | None
    needs: tuple[int, ...] = ()


class DecoderPool:
    """`n` child processes that open photos. `open` may be called from `n` threads at once.

    All together take about an eighth of the machine's memory for pixels. A photo that takes more than its child's share
    is opened while no other such photo is, with up to a quarter of the memory.
    """

    def __init__(
        self,
        n: int,
        options: DecodeOptions,
        *,
        seconds: float = SECONDS,
        sharing: int = 1,
        memory_bytes: int | None = None,
        least_bytes: tuple[int, int] = (LEAST_EACH, LEAST_ALONE),
    ):
        """sharing: how many such walls stand on this machine, and share its memory.

        memory_bytes: of the machine, None: as it says. least_bytes: of pixels, for each child and for one alone.
        """
        self._idle: queue.SimpleQueue[_Decoder] = queue.SimpleQueue()
        memory, (each, lone) = (memory_bytes or _memory_here()) // sharing, least_bytes
        options = replace(options, max_bytes=min(options.max_bytes, max(memory // 4, lone)))
        share, alone = min(options.max_bytes, max(memory // 8 // n, each)), threading.Lock()
        self._all = [_Decoder(options, share, alone, seconds) for _ in range(n)]
        for decoder in self._all:
            self._idle.put(decoder)
        self._closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def close(self) -> None:
        """Kill the children. Threads that wait for one come back with Unreadable."""
        self._closed.set()
        for decoder in self._all:
            decoder.close()

    def open(self, photo: Photo, wanted: Wanted) -> OpenResult:
        """Read a photo and decode it for the needs that `wanted(content hash)` names by index, if any.

        Raises Unreadable.
        """
        decoder = self._idle.get()
        try:
            return decoder.open(photo, wanted)
        finally:
            self._idle.put(decoder)

    def start(self) -> None:
        """Start the children now, and not with the first photos, for whom somebody may wait. From any thread."""
        for _ in self._all:
            with contextlib.suppress(queue.Empty, Unreadable):
                decoder = self._idle.get_nowait()
                try:
                    decoder.start()
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

    def __init__(self, options: DecodeOptions, share: int, alone: threading.Lock, seconds: float):
        self._options, self._share, self._alone = options, share, alone
        self._seconds = seconds
        self._child: subprocess.Popen[bytes] | None = None
        self._deadline: float | None = None
        self._closed = False

    def open(self, photo: Photo, wanted: Wanted) -> OpenResult:
        if self._child is not None:
            # It has opened other photos before, and its death may be their fault: only a new child's word counts.
            with contextlib.suppress(_Died):
                return self._open(photo, wanted)
        try:
            return self._open(photo, wanted)
        except _Died as death:
            raise Unreadable(death.cause, passing=death.passing) from None

    def _open(self, photo: Photo, wanted: Wanted) -> OpenResult:
        child = self._alive()
        content_hash = None
        try:
            _send(child.stdin, json.dumps({"path": photo.path}).encode())
            self._deadline = time.monotonic() + self._seconds
            content_hash = bytes.fromhex(_answer(child.stdout)["hash"])
            self._deadline = None  # looking the hash up is our own time
            asked = tuple(wanted(content_hash))
            needs = [self._options.needs[i] for i in asked]
            if needs:
                self._deadline = time.monotonic() + self._seconds
            _send(child.stdin, json.dumps(asked).encode())
            if not needs:
                return OpenResult(photo, content_hash, None)
            said = _answer(child.stdout)
            self._deadline = None if "bytes" in said else self._deadline
            with self._alone if "bytes" in said else contextlib.nullcontext():
                said = self._go_on(child) if "bytes" in said else said
                opened = _opened(said, [_receive(child.stdout) for _ in needs], needs)
            return OpenResult(photo, content_hash, opened, asked)
        except Unreadable:
            raise
        except (EOFError, OSError, ValueError, KeyError, TypeError, RecursionError):
            late = self._deadline is not None and time.monotonic() > self._deadline
            cause, passing = self._bury(child), content_hash is None
            if late:
                raise Unreadable(f"opening it took longer than {self._seconds:g} s", passing=passing) from None
            raise _Died(cause, passing) from None
        except BaseException:  # of `wanted`: the child still waits for an answer
            self.kill()
            raise
        finally:
            self._deadline = None
            if self._closed:  # meanwhile
                self.kill()

    def _go_on(self, child: subprocess.Popen[bytes]) -> dict[str, Any]:
        """Let a child decode its large photo, now that no other one does -> what it says."""
        self._deadline = time.monotonic() + self._seconds
        _send(child.stdin, b"go on")
        return _answer(child.stdout)

    def start(self) -> None:
        self._alive()

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
            self._child = subprocess.Popen(
                # -P: the folder that the user stands in must not become a place to import from.
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "photosearch.photos.decoders",
                    self._options.to_json(),
                    str(self._share),
                    str(math.ceil(self._seconds)),
                ],
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


def _opened(said: dict[str, Any], pixels: Sequence[bytes], needs: Sequence[ViewSpec]) -> DecodedPhoto:
    """What a child said, if it can be true; else ValueError, KeyError, TypeError. It may be a photo's puppet."""
    width, height, fingerprint = said["width"], said["height"], said["fingerprint"]
    if not all(type(side) is int and 0 < side < 2**31 for side in (width, height)):
        raise ValueError("no photo has such sides")
    if type(fingerprint) is not int or not 0 <= fingerprint < 2**64:
        raise ValueError("that is not a fingerprint")
    taken, taken_from = said["taken"], said["taken_from"]
    if taken is not None and not re.fullmatch(r"[0-9T:-]{19}", taken):
        raise ValueError("that is not a date")
    if (taken is None) != (taken_from is None) or taken_from not in (None, *dates.SOURCES):
        raise ValueError("no date stands there")
    shapes = [(1 + need.tiles, need.size, need.size, 3) for need in needs]
    views = tuple(np.frombuffer(p, np.uint8).reshape(shape) for p, shape in zip(pixels, shapes, strict=True))
    return DecodedPhoto(views, width, height, taken, taken_from, fingerprint)


def serve(options: DecodeOptions, share: int, seconds: int, requests: BinaryIO, answers: BinaryIO) -> None:
    """The child: answer until the parent is gone. share: bytes that a decode may take without asking for more."""
    _limit_memory(options.max_pixels)
    while True:
        _end_in(0)
        try:
            path = json.loads(_receive(requests))["path"]
        except EOFError:
            return
        try:
            _end_in(2 * seconds)
            data = decode.read(path)
            _send(answers, json.dumps({"hash": decode.content_hash(data).hex()}).encode())
            needs = [options.needs[i] for i in json.loads(_receive(requests))]
            if not needs:
                continue
            _end_in(2 * seconds)
            try:
                opened = decode.decode(data, needs, max_pixels=options.max_pixels, max_bytes=share)
            except TakesTooMuch as large:
                if large.size_bytes > options.max_bytes:
                    raise
                _end_in(0)  # until it is its turn
                _send(answers, json.dumps({"bytes": large.size_bytes}).encode())
                _receive(requests)
                _end_in(2 * seconds)
                opened = decode.decode(data, needs, max_pixels=options.max_pixels, max_bytes=options.max_bytes)
        except Unreadable as error:
            _send(answers, json.dumps({"reason": error.reason, "passing": error.passing}).encode())
            continue
        said = {key: getattr(opened, key) for key in ("width", "height", "taken", "taken_from", "fingerprint")}
        _send(answers, json.dumps(said).encode())
        for views in opened.views:
            _send(answers, views.data)


def _memory_here() -> int:
    """Bytes of memory that this machine has; a guess where it doesn't say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return MEMORY_UNKNOWN


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
        serve(DecodeOptions.from_json(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.stdin.buffer, out)
