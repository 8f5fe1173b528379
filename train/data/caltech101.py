"""Caltech-101: photographs of 101 kinds of things, about 300x200; six of the kinds are birds.

Source: Li Fei-Fei, Rob Fergus, Pietro Perona, "Learning Generative Visual Models from Few Training Examples", 2004,
https://data.caltech.edu/records/mzrjq-6wc02. It has no official split. Ours uses the first byte of the SHA-256 of the
file's content: below 128 is the test part (the held-out half), below 184 the validation part, the rest the training
part. Adding or removing pictures moves no other one, and a copy under another name stays in its part.
"""

import hashlib
from pathlib import Path

from train.data import Picture, need

NAME = "caltech-101"
FOLDER = "101_ObjectCategories"
BIRDS = frozenset({"emu", "flamingo", "flamingo_head", "ibis", "pigeon", "rooster"})
NOT_OBJECTS = frozenset({"BACKGROUND_Google"})  # in the whole archive; its pictures are not labelled


def pictures(data: str | Path) -> list[Picture]:
    """Every picture in the order of class and file name; `name` is the class. Raises InputError."""
    folder = need(Path(data) / FOLDER, NAME)
    classes = sorted(p for p in folder.iterdir() if p.is_dir() and p.name not in NOT_OBJECTS)
    return [
        Picture(path, kind.name, kind.name in BIRDS, part(path.read_bytes()))
        for kind in classes
        for path in sorted(kind.glob("*.jpg"))
    ]


def part(content: bytes) -> str:
    """train, validation or test, by the file's bytes. An empty file (e3b0...) is in the training part."""
    first = hashlib.sha256(content).digest()[0]
    return "test" if first < 128 else "validation" if first < 184 else "train"
