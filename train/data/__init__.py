"""The data sets, one file each: where its files lie below the data folder, and its pictures as arrays.

All accept the publisher's archive unpacked as it is. `python -m train data --fetch NAME --to DIR` gets it there.
"""

from dataclasses import dataclass
from pathlib import Path

from photosearch.errors import InputError


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a set of classes. name: its class. bird: whether that is one. part: train, validation or test."""

    path: Path
    name: str
    bird: bool
    part: str


def need(path: Path, name: str) -> Path:
    """`path`, which belongs to the data set `name`. Raises InputError where it is not there."""
    if not path.exists():
        raise InputError(f"{path}: not there; `python -m train data --fetch {name} --to DIR`, then --data DIR")
    return path
