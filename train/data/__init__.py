"""The data sets, one file each: its files below the data folder, its parts, its pictures as arrays.

All read the publisher's archive as unpacked. `python -m train data --fetch NAME --to DIR` downloads it.
"""

from dataclasses import dataclass
from pathlib import Path

from photosearch.errors import InputError


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a set of classes. name: its class. bird: whether it shows one. part: train, validation or test."""

    path: Path
    name: str
    bird: bool
    part: str


def need(path: Path, name: str) -> Path:
    """`path`, which belongs to the data set `name`. Raises InputError if it is missing."""
    if not path.exists():
        raise InputError(f"{path}: missing; run `python -m train data --fetch {name} --to DIR`, then use --data DIR")
    return path
