"""Outputs of a fixed network on the data sets' pictures, computed once and cached on disk.

Also the parts that `sight` and `words` choose and report on. Caltech-101 and CUB: see their modules. Tiny ImageNet: the
official validation pictures, unseen by the pretrained network, of which those whose SHA-256 begins with a byte below
128 are the test part. Flickr8k: its publisher's split.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from train.atomic import replacing
from train.data import caltech101, cub, flickr8k, need, tiny_imagenet
from train.export import open_session
from train.prefetch import load_batches
from train.tool import decode, prepare_file

BATCH = 8
Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Example:
    """A picture and its truth: the set's own name of its class, or captions."""

    path: Path
    class_name: str = ""
    captions: tuple[str, ...] = ()


def list_examples(data: str | Path, name: str, part: str) -> list[Example]:
    """name: caltech-101, cub, tiny-imagenet or flickr8k. part: train, validation or test. Raises InputError."""
    if name == caltech101.NAME:
        return [Example(p.path, p.name) for p in caltech101.pictures(data) if p.part == part]
    if name == cub.NAME:
        return [Example(b.path, "bird") for b in cub.birds(data) if b.part == part]
    if name == tiny_imagenet.NAME:
        return [] if part == "train" else [e for e in _list_tiny(data) if _is_test(e.path) == (part == "test")]
    return [Example(p.path, "", p.captions) for p in flickr8k.photographs(data, part)]


def _list_tiny(data: str | Path) -> Iterator[Example]:
    """The official validation pictures; class_name: the WordNet id, n01443537."""
    folder = need(Path(data) / tiny_imagenet.FOLDER / "val", tiny_imagenet.NAME)
    for line in (folder / "val_annotations.txt").read_text(encoding="utf-8").splitlines():
        file, wnid = line.split("\t")[:2]
        yield Example(folder / "images" / file, wnid)


def _is_test(path: Path) -> bool:
    return hashlib.sha256(path.read_bytes()).digest()[0] < 128


def compute(
    network: bytes,
    examples: Sequence[Example],
    size: int,
    fit: decode.Fit,
    cache: Path,
    *,
    exact: bool = False,
    progress: Callable[[int, int], None] = print,
) -> Features:
    """All outputs for each picture, side by side, float32 [N, D], cached under a hash of everything they depend on.

    Cached as float16 unless exact: scores near 0 and 1 would lose their order.
    """
    paths = [e.path for e in examples]
    key = hashlib.sha256(_without_card(network) + repr((size, fit, [str(p) for p in paths])).encode()).hexdigest()[:16]
    file = cache / f"features-{key}.npy"
    if not file.exists():
        session = open_session(network)
        name = session.get_inputs()[0].name
        parts = []
        for images in prepare_batches(paths, size, fit):
            parts.append(np.concatenate(session.run(None, {name: images}), axis=1))
            if len(parts) % 50 == 0:
                progress(len(parts) * BATCH, len(paths))
        with replacing(file) as temporary, temporary.open("wb") as out:
            np.save(out, np.concatenate(parts).astype(np.float32 if exact else np.float16))
    return np.load(file).astype(np.float32)


def _without_card(network: bytes) -> bytes:
    """The graph's bytes: another card does not change the outputs."""
    model = onnx.load_from_string(network)
    if not model.metadata_props:
        return network
    del model.metadata_props[:]
    return model.SerializeToString(deterministic=True)


def prepare_batches(paths: Sequence[Path], size: int, fit: decode.Fit) -> Iterator[npt.NDArray[np.uint8]]:
    """Files -> uint8 [n, size, size, 3] RGB, n at most BATCH, as in search."""

    def prepare(path: Path) -> npt.NDArray[np.uint8]:
        return prepare_file(path, size, fit=fit)[0]

    return (np.stack(images) for images in load_batches(paths, prepare, BATCH, ahead=3, threads=1))
