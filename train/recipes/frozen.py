"""What a frozen network makes of the pictures of the data sets, computed once and kept on the disk.

The sets and the parts that `sight` and `words` choose and report on: Caltech-101's and CUB's by their own modules;
of Tiny ImageNet's official validation pictures, which the pretrained network has not seen, a half by the SHA-256 of
the file's content (first byte below 128: test); Flickr8k's by its publisher.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from train.data import caltech101, cub, flickr8k, tiny_imagenet
from train.tool import see_file

BATCH = 8
Features = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Seen:
    """A picture and what is known of it. kind: its class, by the set's own name; captions: where people wrote some."""

    path: Path
    kind: str = ""
    captions: tuple[str, ...] = ()


def pictures(data: str | Path, name: str, part: str) -> list[Seen]:
    """name: caltech-101, cub, tiny-imagenet or flickr8k. part: train, validation or test. Raises InputError."""
    if name == caltech101.NAME:
        return [Seen(p.path, p.name) for p in caltech101.pictures(data) if p.part == part]
    if name == cub.NAME:
        return [Seen(b.path, "bird") for b in cub.birds(data) if b.part == part]
    if name == tiny_imagenet.NAME:
        official = [
            p for p in _tiny(data) if (hashlib.sha256(p.path.read_bytes()).digest()[0] < 128) == (part == "test")
        ]
        return official if part != "train" else []
    return [Seen(p.path, "", p.captions) for p in flickr8k.photographs(data, part)]


def _tiny(data: str | Path) -> Iterator[Seen]:
    """The official validation pictures; kind: the WordNet id, n01443537."""
    folder = Path(data) / tiny_imagenet.FOLDER / "val"
    for line in (folder / "val_annotations.txt").read_text(encoding="utf-8").splitlines():
        file, wnid = line.split("\t")[:2]
        yield Seen(folder / "images" / file, wnid)


def open_network(model: bytes | str | Path, threads: int = 1) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"]
    )


def look(
    network: bytes,
    paths: Sequence[Path],
    size: int,
    fit: str,
    cache: Path,
    tell: Callable[[int, int], None] = print,
    *,
    exact: bool = False,
) -> Features:
    """All outputs for each picture, side by side, float32 [N, D], kept in `cache` under a hash of what they depend on.

    Kept as float16, unless exact: scores near 0 and 1 would lose their order.
    """
    key = hashlib.sha256(without_card(network) + repr((size, fit, [str(p) for p in paths])).encode()).hexdigest()[:16]
    path = cache / f"features-{key}.npy"
    if not path.exists():
        session = open_network(network)
        name = session.get_inputs()[0].name
        done = []
        for images in prepare(paths, size, fit):
            done.append(np.concatenate(session.run(None, {name: images}), axis=1))
            if len(done) % 50 == 0:
                tell(len(done) * BATCH, len(paths))
        cache.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".part.npy")
        np.save(aside, np.concatenate(done).astype(np.float32 if exact else np.float16))
        aside.replace(path)
    return np.load(path).astype(np.float32)


def without_card(network: bytes) -> bytes:
    """The graph's bytes, whatever its card says: another card is no other network."""
    model = onnx.load_from_string(network)
    if not model.metadata_props:
        return network
    del model.metadata_props[:]
    return model.SerializeToString(deterministic=True)


def prepare(paths: Sequence[Path], size: int, fit: str) -> Iterator[npt.NDArray[np.uint8]]:
    """uint8 [n, size, size, 3], n at most BATCH, in order; the next ones are decoded while these are used."""
    with ThreadPoolExecutor(1) as pool:
        pending = [pool.submit(pixels, p, size, fit) for p in paths[: 4 * BATCH]]
        for start in range(0, len(paths), BATCH):
            ready, pending = pending[:BATCH], pending[BATCH:]
            pending += [pool.submit(pixels, p, size, fit) for p in paths[start + 4 * BATCH : start + 5 * BATCH]]
            yield np.stack([p.result() for p in ready])


def pixels(path: Path, size: int, fit: str) -> npt.NDArray[np.uint8]:
    """A file as the search sees it: uint8 [size, size, 3] RGB, upright. fit: squash or crop."""
    return see_file(path, size, fit=fit)[0]
