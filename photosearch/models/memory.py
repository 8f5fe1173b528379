"""Gives memory that models have freed back to the system: the C library would keep it for the next ones."""

import contextlib
import ctypes
import gc
import sys


def release_memory() -> None:
    """glibc's malloc_trim(3); elsewhere freed memory goes back by itself, or not at all."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).malloc_trim(0)
