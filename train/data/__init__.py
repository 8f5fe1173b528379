"""The data sets, one file each: its files below the data folder, its parts, its pictures as arrays.

All read the publisher's archive as unpacked. `python -m train data --fetch NAME --to DIR` downloads most of them.
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


def need(path: Path, name: str, hint: str = "") -> Path:
    """`path`, which belongs to the data set `name`. Raises InputError if it is missing.

    hint: how to get the set, if `python -m train data --fetch` can't.
    """
    if not path.exists():
        hint = hint or f"run `python -m train data --fetch {name} --to DIR`, then use --data DIR"
        raise InputError(f"{path}: missing; {hint}")
    return path
