"""Tiny ImageNet: 64x64 pictures of 200 of ImageNet's classes; four of the classes are birds.

Source: Stanford CS231n, http://cs231n.stanford.edu/tiny-imagenet-200.zip, cut from ImageNet (Deng et al., 2009). Its
validation pictures, which have labels, are our test part; a tenth of its training pictures, chosen by the SHA-256 of
the file's content, is our validation part. A network pretrained on ImageNet-1k has very probably seen the training
pictures at full size, so its figures here are too high. The class `crane` is the machine.
"""

import hashlib
from pathlib import Path

from train.data import Picture, need

NAME = "tiny-imagenet"
FOLDER = "tiny-imagenet-200"
BIRDS = frozenset({"n01855672", "n02002724", "n02056570", "n02058221"})  # goose, black stork, king penguin, albatross
VALIDATION = 10  # one of 10 pictures of the official training part


def pictures(data: str | Path) -> list[Picture]:
    """Every labelled picture; `name` is the first of the class's English names. Raises InputError."""
    folder = need(Path(data) / FOLDER, NAME)
    names = _names(folder)
    training = sorted((folder / "train").glob("*/images/*.JPEG"))
    found = [_picture(p, p.parent.parent.name, names, _part(p.read_bytes())) for p in training]
    for line in need(folder / "val" / "val_annotations.txt", NAME).read_text(encoding="utf-8").splitlines():
        file, wnid = line.split("\t")[:2]
        found.append(_picture(folder / "val" / "images" / file, wnid, names, "test"))
    return found


def _picture(path: Path, wnid: str, names: dict[str, str], part: str) -> Picture:
    return Picture(path, names.get(wnid, wnid), wnid in BIRDS, part)


def _names(folder: Path) -> dict[str, str]:
    lines = need(folder / "words.txt", NAME).read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if "\t" in line)
    return {wnid: words.split(",")[0].strip() for wnid, words in pairs}


def _part(content: bytes) -> str:
    return "train" if hashlib.sha256(content).digest()[0] * VALIDATION >= 256 else "validation"
