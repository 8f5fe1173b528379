"""Image models: an .onnx file, its card and its ONNX Runtime session. A batch of pixels -> scores, vectors or both.

A model is one file. Its card is JSON in the file's metadata, under `CARD_KEY`: labels, input, thresholds, training data
and measured quality. The network takes uint8 [N, S, S, 3] RGB: normalisation is in the graph. Its outputs are found by
name: `scores` float32 [N, labels] in 0..1, `vectors` float32 [N, dimensions] of unit length.
Custom operators are never loaded, and the default providers never send data off the machine.
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
from photosearch.models.protobuf import check_operators, read_metadata
from photosearch.models.providers import PROVIDERS, choose_provider

# Images in one run. On the CPU more are no faster and take more memory. On a GPU 64 are 96 % as fast as 256, in a
# quarter of the memory: docs/performance.md, `python -m benchmarks gpu-networks`.
CPU_RUN_SIZE, RUN_SIZE = 4, 64
# At each new batch size cuDNN searches for the best algorithms, for a second or more; so batches are padded.
PADDED_PROVIDERS, PADDED_SIZES = ("cuda", "tensorrt"), (16, RUN_SIZE)
PROVIDER_OPTIONS = {"cuda": {"cudnn_conv_algo_search": "HEURISTIC"}}  # as fast, after half the search
# CUDA has no int8 convolution, and for each batch the CPU would turn int32 biases into floats: with this, weights and
# biases are floats from the start. The activations' quantization stays, since its bounds are the network's ReLU6.
FLOAT_WEIGHTS = ("session.disable_quant_qdq", "1")
FLOAT_PROVIDERS = ("cuda",)
MAX_MODEL_BYTES = 2**31  # protobuf's own limit

Scores = npt.NDArray[np.float32]
Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outputs:
    """A model's outputs for a batch. scores: [N, labels], 0..1; vectors: [N, dimensions], unit length; or None."""

    scores: Scores | None
    vectors: Vectors | None


class Model:
    """A loaded image model. Owns ONNX Runtime's session.

    digest: BLAKE2 of the file, 16 hexadecimal digits. provider: the name in PROVIDERS that actually runs. fallback: why
    a better provider doesn't, or None.
    """

    def __init__(self, path: str | Path, *, provider: str = "auto", threads: int = 0):
        """path: a file, or the folder of a two-tower model. threads: on the CPU, 0 for all cores.

        Raises ModelError.
        """
        self.path = Path(path)
        two_tower = read_encoders(self.path) if self.path.is_dir() else None
        self._encoder = two_tower.image if two_tower else None
        file = self.path / two_tower.image.file if two_tower else self.path
        if two_tower:
            two_tower.check_files(two_tower.image)
        data = read_model(file)
        self.digest = _compute_digest(data, two_tower)
        chosen, self.fallback = choose_provider(provider)
        # On the CPU each thread runs the network alone, on its share of a batch. One run on all cores takes a fifth
        # more CPU time: its threads spin while they wait for each other, and the decoders need the cores.
        self._runs = (threads or os.cpu_count() or 1) if chosen == "cpu" else 1
        self._threads = ThreadPoolExecutor(self._runs)
        weights_folder = file.parent if two_tower else None
        self._session = start_session(
            file, data, chosen, threads=1 if chosen == "cpu" else threads, weights_folder=weights_folder
        )
        running = self._session.get_providers()[0]
        self.provider = next((k for k, v in PROVIDERS.items() if v == running), running)
        if self.provider != chosen:
            self.fallback = f"{chosen} did not start"
        self.card = two_tower.image_card if two_tower else self._read_card(data)
        if self._encoder:
            self._input, self._outputs = self._encoder.input, [self._encoder.output]
        else:
            self._input, self._outputs = self._check_input(), [self._check_output(name) for name in self.card.outputs]
        size = self.card.input_size
        self._infer(np.zeros((2, size, size, 3), np.uint8))

    def predict(self, views: npt.NDArray[np.uint8]) -> Outputs:
        """uint8 [N, 1 + tiles, S, S, 3] -> the outputs for N photos, N >= 0. Raises ModelError.

        The whole photo's scores are pooled with its tiles'; the vector is the whole photo's.
        """
        n, t = views.shape[:2]
        if "scores" not in self.card.outputs:
            return self._infer(views[:, 0])
        outputs = self._infer(views.reshape(n * t, *views.shape[2:]))
        assert outputs.scores is not None
        scores = outputs.scores.reshape(n, t, len(self.card.labels))
        vectors = None if outputs.vectors is None else outputs.vectors[::t]
        return Outputs(scores[:, 0] if t == 1 else pool(scores, self.card), vectors)

    def score(self, images: npt.NDArray[np.uint8]) -> Scores:
        """uint8 [N, S, S, 3] -> float32 [N, labels], 0..1, N >= 0: for training and evaluation. Raises ModelError."""
        scores = self._infer(images).scores
        if scores is None:
            raise ModelError(f"{self.path}: gives no scores, only vectors")
        return scores

    def _infer(self, images: npt.NDArray[np.uint8]) -> Outputs:
        """uint8 [N, S, S, 3] -> the graph's outputs, checked. Raises ModelError."""
        if len(images) == 0:
            empty = {name: np.empty((0, self._width(name)), np.float32) for name in self.card.outputs}
            return Outputs(empty.get("scores"), empty.get("vectors"))
        try:
            arrays = self._run_in_parts(np.ascontiguousarray(images))
        except Exception as error:
            raise ModelError(f"{self.path}: the model failed: {first_line(error)}") from None
        outputs = dict(zip(self.card.outputs, arrays, strict=True))
        for name, array in outputs.items():
            expected = (len(images), self._width(name))
            if array.shape != expected:
                raise ModelError(f"{self.path}: gave {name} of shape {array.shape}, its card promises {expected}")
        scores, vectors = outputs.get("scores"), outputs.get("vectors")
        if scores is not None:
            if not (np.isfinite(scores).all() and scores.min() >= -1e-6 and scores.max() <= 1 + 1e-6):
                raise ModelError(f"{self.path}: gave scores outside 0..1; the model is broken")
            scores = np.clip(scores, 0, 1).astype(np.float32, copy=False)
        return Outputs(scores, None if vectors is None else normalize_length(vectors, self.path))

    def _width(self, output: str) -> int:
        return len(self.card.labels) if output == "scores" else self.card.dimensions

    def _run_in_parts(self, images: npt.NDArray[np.uint8]) -> list[npt.NDArray[Any]]:
        """A batch split among the threads: a photo's outputs don't depend on the photos with it."""
        step = min(CPU_RUN_SIZE if self.provider == "cpu" else RUN_SIZE, -(-len(images) // self._runs))
        if self._encoder:
            step = min(step, self._encoder.max_batch or step)
        parts = [images[i : i + step] for i in range(0, len(images), step)]
        outputs = list(self._threads.map(self._run, parts))
        return [np.concatenate(arrays) for arrays in zip(*outputs, strict=True)]

    def _run(self, images: npt.NDArray[np.uint8]) -> list[npt.NDArray[Any]]:
        n, pixels = len(images), preprocess(images, self._encoder) if self._encoder else images
        if self.provider in PADDED_PROVIDERS and self._encoder is None:
            pixels = pad_batch(pixels)
        return [np.asarray(array)[:n] for array in self._session.run(self._outputs, {self._input: pixels})]

    def _read_card(self, data: bytes) -> Card:
        try:
            text = read_metadata(io.BytesIO(data), CARD_KEY)
            if text is not None:
                return Card.from_json(text)
        except ValueError as error:
            raise ModelError(f"{self.path}: {error}; export it again with `python -m train export`") from None
        raise ModelError(f"{self.path}: has no card; export it with `python -m train export`")

    def _check_input(self) -> str:
        """The name of the input. Raises ModelError."""
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

    def _check_output(self, output: str) -> str:
        """The name in the graph of one of the card's outputs. Raises ModelError."""
        outputs = {o.name: o.type for o in self._session.get_outputs()}
        name = output
        if self.card.outputs == ("scores",) and len(outputs) == 1:
            (name,) = outputs  # any name in files from before a model could give more than scores
        if name not in outputs:
            raise ModelError(f"{self.path}: its card promises {output}, but its graph gives only {', '.join(outputs)}")
        if outputs[name] != "tensor(float)":
            raise ModelError(f"{self.path}: its output {name} must be float32")
        return name


def start_session(path: Path, data: bytes, provider: str, *, threads: int, weights_folder: Path | None = None) -> Any:
    """ONNX Runtime's session for a model's bytes. Raises ModelError.

    path: for messages. provider: a name in PROVIDERS. weights_folder: of weights in other files.
    """
    try:
        check_operators(io.BytesIO(data))
    except ValueError as error:
        raise ModelError(f"{path}: ONNX Runtime can't load this model: {error}") from None
    import onnxruntime  # 100 ms: not for `photosearch --help`

    onnxruntime.disable_telemetry_events()  # on Windows; on Linux, __init__.py prevents its start
    options = make_options(provider, threads=threads)
    # By default ONNX Runtime looks in the current folder for external data of a model given as bytes. Below a file,
    # this one, there is nothing to find, and it refuses to go up.
    folder = str(weights_folder or __file__)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    providers = [(PROVIDERS[p], PROVIDER_OPTIONS.get(p, {})) for p in dict.fromkeys((provider, "cpu"))]
    try:
        session = onnxruntime.InferenceSession(data, options, providers=providers)
    except Exception as error:
        raise ModelError(f"{path}: ONNX Runtime can't load this model: {first_line(error)}") from None
    if provider in FLOAT_PROVIDERS and session.get_providers()[0] != PROVIDERS[provider]:  # it did not start
        return start_session(path, data, "cpu", threads=threads, weights_folder=weights_folder)
    return session


def make_options(provider: str, *, threads: int = 0) -> Any:
    """ONNX Runtime's options for a session on this provider."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised and reported once, in our words
    if provider in FLOAT_PROVIDERS:
        options.add_session_config_entry(*FLOAT_WEIGHTS)
    return options


def preprocess(images: npt.NDArray[np.uint8], encoder: ImageEncoder) -> npt.NDArray[Any]:
    """uint8 [N, R, R, 3] -> the encoder's input: a centre crop of its size S <= R, scaled, in its dtype and layout."""
    left = (images.shape[1] - encoder.size) // 2
    images = images[:, left : left + encoder.size, left : left + encoder.size]
    pixels: npt.NDArray[Any] = images
    if encoder.dtype != "uint8":
        mean, std = np.array(encoder.mean, np.float32), np.array(encoder.std, np.float32)
        pixels = (images * (np.float32(encoder.scale) / std) - mean / std).astype(encoder.dtype)
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) if encoder.channels == "first" else pixels)


def normalize_length(vectors: npt.NDArray[Any], path: Path) -> Vectors:
    """[N, D] -> float32, each row divided by its length. Raises ModelError if one is zero or not finite."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths).all() and (lengths > 1e-9).all()):
        raise ModelError(f"{path}: gave vectors that are zero or not finite; the model is broken")
    units: Vectors = (vectors / lengths).astype(np.float32)
    return units


def pad_batch(images: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[N, ...] -> [M, ...], M the next of PADDED_SIZES: black images are appended, and their outputs ignored."""
    size = next((size for size in PADDED_SIZES if len(images) <= size), len(images))
    return np.concatenate([images, np.zeros((size - len(images), *images.shape[1:]), images.dtype)])


def pool(scores: Scores, card: Card) -> Scores:
    """float32 [N, 1 + tiles, labels] -> [N, labels], by the card's pooling. Raises ModelError if it has none."""
    tiles = scores.shape[1] - 1
    check_tiles(card, tiles)
    rows = card.pooling[str(tiles)]
    whole, largest, bias = (np.array([rows[label][i] for label in card.labels]) for i in range(3))
    logits = logit(scores)
    with_tiles = whole * logits[:, 0] + largest * logits[:, 1:].max(axis=1) + bias
    pooled = np.maximum(logits[:, 0], with_tiles)  # an object that fills the photo is cut by every tile
    probabilities: Scores = (1 / (1 + np.exp(-pooled))).astype(np.float32)
    return probabilities


def logit(scores: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """ln(p / (1 - p)), with p clipped to 1e-6..1 - 1e-6. logit(0.5) is 0."""
    p = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    logits: npt.NDArray[np.float64] = np.log(p / (1 - p))
    return logits


def _compute_digest(data: bytes, two_tower: TwoTowerModel | None) -> str:
    """Of the file; of a two-tower model, of its files' digests and its preprocessing."""
    if two_tower is not None:
        parts = [two_tower.image_card.to_json(), asdict(two_tower.image), sorted(two_tower.files.items())]
        data = json.dumps(parts).encode()
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def read_model(path: Path) -> bytes:
    """A model file's bytes. Raises ModelError."""
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"{path}: larger than 2 GiB, not a model that can be loaded")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't read this model: {error.strerror}") from None
