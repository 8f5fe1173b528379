"""One .onnx file, its card and its session: a batch of pixels -> scores, vectors or both.

A model is one file. Its card is JSON in the file's own metadata, under `CARD_KEY`, and says what a user or
a later reader must know: labels, input, thresholds, what it was taught with and how good it was found to be.
The network takes uint8 [N, S, S, 3] RGB: normalisation is in the graph. Its outputs are found by name: `scores`
float32 [N, labels] in 0..1, `vectors` float32 [N, dimensions] of unit length.
It never loads custom operators, and the default providers never leave the machine.
"""

import hashlib
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch.errors import ModelError, first_line
from photosearch.models.card import CARD_KEY, Card, check_tiles
from photosearch.models.encoders import ImageEncoder, TwoTowerModel, read_encoders
from photosearch.models.protobuf import read_metadata
from photosearch.models.providers import PROVIDERS, choose_provider

# Images in one run. More of them are no faster on the CPU, and a run keeps so much less between its layers. On a GPU 64
# are 96 % as fast as 256, in a quarter of its memory: docs/performance.md, `python -m benchmarks gpu-networks`.
PART, PART_ELSEWHERE = {"cpu": 4}, 64
# At each new size of a batch cuDNN looks for the best algorithms, for a second or more; so there are few sizes.
PADDED, SIZES = ("cuda", "tensorrt"), (16, PART_ELSEWHERE)
PROVIDER_OPTIONS = {"cuda": {"cudnn_conv_algo_search": "HEURISTIC"}}  # as fast, after half the search
MAX_MODEL_BYTES = 2**31  # protobuf's own limit

Scores = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a model says of a batch. scores: [N, labels], each 0..1; vectors: [N, dimensions], unit length; or None."""

    scores: Scores | None
    vectors: Vectors | None


class Model:
    """A model that is ready to look. Owns ONNX Runtime's session.

    card: what the file says of itself. digest: BLAKE2 of the file, 16 hexadecimal digits. provider: the name in
    PROVIDERS that really runs. fallback: why a better provider does not, or None.
    """

    def __init__(self, path: str | Path, *, provider: str = "auto", threads: int = 0):
        """path: a file, or the folder of a foreign model. threads: how many work on the CPU, 0 for all cores.

        Raises ModelError.
        """
        self.path = Path(path)
        towers = read_encoders(self.path) if self.path.is_dir() else None
        self._tower = towers.image if towers else None
        file = self.path / towers.image.file if towers else self.path
        if towers:
            towers.check_files(towers.image)
        data = read_model(file)
        self.digest = _digest(data, towers)
        chosen, self.fallback = choose_provider(provider)
        # On the CPU each of our threads runs the network alone, on its share of a batch. One run on all the cores costs
        # them a fifth more: its threads wait for each other, spinning, while the decoders want the cores.
        self._runs = (threads or os.cpu_count() or 1) if chosen == "cpu" else 1
        self._threads = ThreadPoolExecutor(self._runs)
        beside = file.parent if towers else None
        self._session = start_session(file, data, chosen, threads=1 if chosen == "cpu" else threads, beside=beside)
        ran = self._session.get_providers()[0]
        self.provider = next((k for k, v in PROVIDERS.items() if v == ran), ran)
        if self.provider != chosen:
            self.fallback = f"{chosen} did not start"
        self.card = towers.card if towers else self._card(data)
        self._input = self._tower.input if self._tower else self._check_input()
        self._outputs = [self._tower.output] if self._tower else [self._check_output(h) for h in self.card.outputs]
        size = self.card.input_size
        self._give(np.zeros((2, size, size, 3), np.uint8))

    def look(self, views: npt.NDArray[np.uint8]) -> Outputs:
        """uint8 [N, 1 + tiles, S, S, 3] -> what the model says of N photos. N may be 0. Raises ModelError.

        The whole photo's score is pooled with its tiles'; the vector is the whole photo's.
        """
        n, t = views.shape[:2]
        if "scores" not in self.card.outputs:
            return self._give(views[:, 0])
        given = self._give(views.reshape(n * t, *views.shape[2:]))
        assert given.scores is not None
        scores = given.scores.reshape(n, t, len(self.card.labels))
        vectors = None if given.vectors is None else given.vectors[::t]
        return Outputs(scores[:, 0] if t == 1 else pool(scores, self.card), vectors)

    def score(self, images: npt.NDArray[np.uint8]) -> Scores:
        """uint8 [N, S, S, 3] -> float32 [N, labels], each 0..1. N may be anything, 0 too. Raises ModelError."""
        return self._only_scores(self._give(images))

    def score_views(self, views: npt.NDArray[np.uint8]) -> Scores:
        """uint8 [N, 1 + tiles, S, S, 3] -> float32 [N, labels]: `look`, for a model that gives scores."""
        return self._only_scores(self.look(views))

    def _only_scores(self, given: Outputs) -> Scores:
        if given.scores is None:
            raise ModelError(f"{self.path}: gives no scores, only vectors")
        return given.scores

    def _give(self, images: npt.NDArray[np.uint8]) -> Outputs:
        """uint8 [N, S, S, 3] -> what the graph gives of each, checked. Raises ModelError."""
        if len(images) == 0:
            given = {h: np.empty((0, self._width(h)), np.float32) for h in self.card.outputs}
            return Outputs(given.get("scores"), given.get("vectors"))
        try:
            arrays = self._in_parts(np.ascontiguousarray(images))
        except Exception as error:
            raise ModelError(f"{self.path}: the model failed: {first_line(error)}") from None
        given = dict(zip(self.card.outputs, arrays, strict=True))
        for head, array in given.items():
            expected = (len(images), self._width(head))
            if array.shape != expected:
                raise ModelError(f"{self.path}: gave {head} of shape {array.shape}, its card promises {expected}")
        scores, vectors = given.get("scores"), given.get("vectors")
        if scores is not None:
            if not (np.isfinite(scores).all() and scores.min() >= -1e-6 and scores.max() <= 1 + 1e-6):
                raise ModelError(f"{self.path}: gave scores that are not in 0..1; the model is broken")
            scores = np.clip(scores, 0, 1).astype(np.float32, copy=False)
        return Outputs(scores, None if vectors is None else unit_length(vectors, self.path))

    def _width(self, head: str) -> int:
        return len(self.card.labels) if head == "scores" else self.card.dimensions

    def _in_parts(self, images: npt.NDArray[np.uint8]) -> list[npt.NDArray[Any]]:
        """A batch cut into parts for the threads. What a photo gives doesn't depend on the photos beside it."""
        step = min(PART.get(self.provider, PART_ELSEWHERE), -(-len(images) // self._runs))
        if self._tower:
            step = min(step, self._tower.batch or step)
        parts = [images[i : i + step] for i in range(0, len(images), step)]
        done = list(self._threads.map(self._run, parts))
        return [np.concatenate(arrays) for arrays in zip(*done, strict=True)]

    def _run(self, images: npt.NDArray[np.uint8]) -> list[npt.NDArray[Any]]:
        n, pixels = len(images), self._prepare(images)
        if self.provider in PADDED and self._tower is None:
            pixels = pad(pixels)
        return [np.asarray(array)[:n] for array in self._session.run(self._outputs, {self._input: pixels})]

    def _prepare(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Of our own models nothing is wanted: it is in the graph."""
        return prepare(images, self._tower) if self._tower else images

    def _card(self, data: bytes) -> Card:
        try:
            text = read_metadata(io.BytesIO(data), CARD_KEY)
            if text is not None:
                return Card.from_json(text)
        except ValueError as error:
            raise ModelError(f"{self.path}: {error}; export it again with `python -m train export`") from None
        raise ModelError(f"{self.path}: has no card; export it with `python -m train export`")

    def _check_input(self) -> str:
        """-> the name of the input. Raises ModelError."""
        inputs, size = self._session.get_inputs(), self.card.input_size
        if [i.type for i in inputs] != ["tensor(uint8)"]:
            raise ModelError(f"{self.path}: must have one uint8 input")
        shape = inputs[0].shape
        if len(shape) != 4 or isinstance(shape[0], int) or [d for d in shape[1:] if isinstance(d, int)] != [
            size, size, 3,
        ]:  # fmt: skip
            raise ModelError(f"{self.path}: takes {shape}, its card promises [N, {size}, {size}, 3]")
        name: str = inputs[0].name
        return name

    def _check_output(self, head: str) -> str:
        """-> the name of the output that gives this. Raises ModelError."""
        outputs = {o.name: o.type for o in self._session.get_outputs()}
        name = head
        if self.card.outputs == ("scores",) and len(outputs) == 1:
            (name,) = outputs  # files from before a model could give more than scores call it what they like
        if name not in outputs:
            raise ModelError(f"{self.path}: its card promises {head}, but its graph gives only {', '.join(outputs)}")
        if outputs[name] != "tensor(float)":
            raise ModelError(f"{self.path}: its output {name} must be float32")
        return name


def start_session(path: Path, data: bytes, provider: str, *, threads: int, beside: Path | None = None) -> Any:
    """ONNX Runtime's session for a model's bytes. Raises ModelError.

    path: for messages. provider: a name in PROVIDERS. beside: the folder where weights in other files may lie;
    without it there are none.
    """
    import onnxruntime  # 100 ms: not for `photosearch --help`

    onnxruntime.disable_telemetry_events()  # Windows' own; Linux's is kept from starting in __init__.py
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what fails is raised, and said once, in our words
    # Left to itself, ONNX Runtime looks for the external data of a model that came as bytes in the folder that the
    # user stands in. Below a file, this one, there is nothing to find; and it refuses to go up.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(beside or __file__))
    providers = [(PROVIDERS[p], PROVIDER_OPTIONS.get(p, {})) for p in dict.fromkeys((provider, "cpu"))]
    try:
        return onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:
        raise ModelError(f"{path}: ONNX Runtime can't load this model: {first_line(error)}") from None


def prepare(images: npt.NDArray[np.uint8], tower: ImageEncoder) -> npt.NDArray[Any]:
    """uint8 [N, R, R, 3] -> what a foreign tower wants, of the size S <= R that it wants: cut out of the middle."""
    left = (images.shape[1] - tower.size) // 2
    images = images[:, left : left + tower.size, left : left + tower.size]
    pixels: npt.NDArray[Any] = images
    if tower.kind != "uint8":
        scale = np.float32(tower.scale) / np.array(tower.deviation, np.float32)
        pixels = (images * scale - np.array(tower.mean, np.float32) / np.array(tower.deviation, np.float32)).astype(
            tower.kind
        )
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) if tower.channels == "first" else pixels)


def unit_length(vectors: npt.NDArray[Any], path: Path) -> Vectors:
    """[N, D] -> float32, each row divided by its length. Raises ModelError where one is zero or not finite."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 1e-9).all()):
        raise ModelError(f"{path}: gave vectors that are zero or not finite; the model is broken")
    units: Vectors = (vectors / lengths).astype(np.float32)
    return units


def pad(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[N, ...] -> the next of SIZES: black images behind the others, whose answers nobody reads."""
    size = next((size for size in SIZES if len(images) <= size), len(images))
    return np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), images.dtype)])


def pool(scores: Scores, card: Card) -> Scores:
    """float32 [N, 1 + tiles, labels] -> [N, labels], by the card's pooling. Raises ModelError where it has none."""
    tiles = scores.shape[1] - 1
    check_tiles(card, tiles)
    rows = card.pooling[str(tiles)]
    whole, most, bias = (np.array([rows[label][i] for label in card.labels]) for i in range(3))
    logits = logit(scores)
    with_tiles = whole * logits[:, 0] + most * logits[:, 1:].max(axis=1) + bias
    pooled = np.maximum(logits[:, 0], with_tiles)  # what fills the photo is cut by every tile, and must not lose by it
    probabilities: Scores = (1 / (1 + np.exp(-pooled))).astype(np.float32)
    return probabilities


def logit(scores: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """ln(p / (1 - p)), with p kept 1e-6 away from 0 and 1. logit(0.5) is 0."""
    p = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    logits: npt.NDArray[np.float64] = np.log(p / (1 - p))
    return logits


def _digest(data: bytes, towers: TwoTowerModel | None) -> str:
    """Of a file; of a foreign model, of its towers and of what is done before them."""
    if towers is None:
        return hashlib.blake2b(data, digest_size=8).hexdigest()
    what = json.dumps([towers.card.to_json(), asdict(towers.image), sorted(towers.files.items())])
    return hashlib.blake2b(what.encode(), digest_size=8).hexdigest()


def read_model(path: Path) -> bytes:
    """A model file's bytes. Raises ModelError."""
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"{path}: larger than 2 GiB, not a model that can be loaded")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't read this model: {error.strerror}") from None
