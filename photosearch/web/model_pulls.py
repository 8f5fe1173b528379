"""Downloads of models that pages ask for: one at a time, in a child process (pull_process.py).

Only on request: the page has shown the model's size and licence, and sends that size back.
"""

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import photosearch
from photosearch.errors import InputError
from photosearch.web import pull_process

STOPPED = "the download was stopped; the next one goes on from here"
ENDED_BADLY = "the download ended unexpectedly; the next one goes on from here"


@dataclass(frozen=True, slots=True)
class PullState:
    """The download that a page asked for last; name: '' where there was none. bytes: here, of size_bytes."""

    name: str = ""
    running: bool = False
    bytes: int = 0
    size_bytes: int = 0
    error: str | None = None
    remarks: Sequence[str] = ()


class ModelPulls:
    """Starts, follows and stops downloads. Thread-safe. Close it."""

    def __init__(self) -> None:
        self._lock, self._state = threading.Lock(), PullState()
        self._process: subprocess.Popen[str] | None = None
        self._follower: threading.Thread | None = None
        self._was_stopped = False

    def read(self) -> PullState:
        with self._lock:
            state = self._state
        return replace(state, bytes=photosearch.count_pulled_bytes(state.name)) if state.running else state

    def start(self, name: str, size_bytes: int) -> PullState:
        """size_bytes: that the user has agreed to. Raises InputError, ModelError."""
        now = photosearch.measure_model_offer(name)
        if now != size_bytes:
            raise InputError(f"{name}: takes {now:,} bytes now; nothing was downloaded; ask again")
        with self._lock:
            if self._state.running:
                raise InputError(f"{self._state.name} is being downloaded; wait until it is here, or stop it")
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", pull_process.__name__, name],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
            self._process, self._was_stopped = process, False
            self._state = PullState(name, running=True, size_bytes=size_bytes)
            self._follower = threading.Thread(target=self._follow, args=(process,), daemon=True)
            self._follower.start()
            return self._state

    def stop(self) -> PullState:
        with self._lock:
            if self._process is not None and self._state.running:
                self._was_stopped = True
                self._process.kill()
            return self._state

    def wait(self) -> PullState:
        """The state of the download once it has ended."""
        if self._follower is not None:
            self._follower.join()
        return self.read()

    def close(self) -> None:
        self.stop()
        self.wait()

    def _follow(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        with process.stdin, process.stdout:  # stdin stays open until the child has ended
            output = process.stdout.read()
            process.wait()
        answer: dict[str, Any] = {"error": STOPPED if self._was_stopped else ENDED_BADLY}
        with contextlib.suppress(ValueError):
            answer = json.loads(output)
        with self._lock:
            self._state = replace(self._state, running=False, **answer)
