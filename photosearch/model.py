"""One .onnx file, its card and its session: a batch of pixels -> scores.

A model is one file. Its card is JSON in the file's own metadata, under `CARD_KEY`, and says what a user or
a later reader must know: labels, input, thresholds, what it was taught with and how good it was found to be.
The network takes uint8 [N, S, S, 3] RGB and gives float32 [N, labels] in 0..1: normalisation is in the graph.
The only file that knows ONNX Runtime. It never loads custom operators, and the default providers never
leave the machine.
"""

import contextlib
import ctypes
import hashlib
import io
import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch.errors import ModelError
from photosearch.photos import Fit

CARD_KEY = "photosearch.card"
SHIPPED = Path(__file__).parent / "models"
DEFAULT = "bird-photo"
PROVIDERS = {  # what the command line calls them, in the order in which `auto` prefers them
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",  # compiles for minutes at its first start: by name only
    "rocm": "ROCMExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
AUTO = ("cuda", "coreml", "directml", "cpu")
TILES = (4, 9, 16, 25)  # how many tiles a card may pool beside the whole photo
BOUND = {"cuda": "cuda", "tensorrt": "cuda"}  # providers whose batches are copied to the device by us, and its name
# Images in one run. More of them are no faster on the CPU, and a run keeps so much less between its layers; elsewhere
# they would be, but 256 photos in 17 views each, all at once, are more than a GPU's memory holds.
PART, PART_ELSEWHERE = {"cpu": 4}, 256
MAX_MODEL_BYTES = 2**31  # protobuf's own limit
MAX_DEPTH = 20  # of lists in lists in a card

Scores = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Card:
    """What a model says of itself. In the file: JSON, with the tuples as lists.

    labels: one for each column of scores. input_size: S, in pixels. fit: how a photo becomes a square
    (photos.views). thresholds: label -> score from which a photo counts as showing it, chosen on validation data.
    tiles: the number of tiles that pays on validation data, `index --tiles`'s default. pooling: for each number of
    tiles but 0, label -> [whole, most, bias]: the score's logit is whole * logit of the whole photo + most * largest
    logit among the tiles + bias, or the whole photo's own where that is larger. measured: rows of a table, one for each
    split and label. details: what else a reader of the card may want: command, settings, seeds, seconds.
    """

    name: str
    version: str
    labels: tuple[str, ...]
    input_size: int
    fit: Fit = "squash"
    thresholds: Mapping[str, float] = field(default_factory=dict)
    tiles: int = 0
    pooling: Mapping[str, Mapping[str, tuple[float, float, float]]] = field(default_factory=dict)
    trained_on: str = ""
    licence: str = ""
    measured: tuple[Mapping[str, Any], ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Card":
        """Raises ValueError with a few words about what is wrong."""
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("its card is not JSON") from None
        if not isinstance(raw, dict):
            raise ValueError("its card is not a JSON object")
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in raw.items() if k in known}  # a newer card may say more
        if missing := {"name", "version", "labels", "input_size"} - values.keys():
            raise ValueError(f"its card lacks {', '.join(sorted(missing))}")
        if _depth(values) > MAX_DEPTH:
            raise ValueError("its card is wrong: it nests too deep")
        try:
            json.dumps(values, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("its card is wrong: half of a surrogate pair stands in it") from None
        return cls(**_checked(values))

    def threshold(self, label: str) -> float:
        return self.thresholds.get(label, 0.5)


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        level = [x for v in level if isinstance(v, dict | list) for x in (v.values() if isinstance(v, dict) else v)]
        depth += 1
    return depth


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    def expect(true: bool, text: str) -> None:
        if not true:
            raise ValueError(f"its card is wrong: {text}")

    for key in ("name", "version", "fit", "trained_on", "licence"):
        expect(isinstance(values.get(key, ""), str), f"{key} must be text")
        expect(len(values.get(key, "")) <= 10_000, f"{key} is too long")
    for key in ("name", "version"):
        expect(bool(values[key]) and values[key].isprintable(), f"{key} must be printable text")
    labels = values["labels"]
    expect(isinstance(labels, list) and 0 < len(labels) <= 100_000, "labels must be a list")
    expect(all(isinstance(x, str) and x.strip() and x.isprintable() for x in labels), "each label must be text")
    expect(len(set(labels)) == len(labels), "a label stands there twice")
    size = values["input_size"]
    expect(isinstance(size, int) and not isinstance(size, bool) and 1 <= size <= 4096, "input_size must be 1 to 4096")
    expect(values.get("fit", "squash") in ("squash", "crop"), "fit must be squash or crop")
    tiles = values.get("tiles", 0)
    expect(type(tiles) is int and tiles in (0, *TILES), "tiles must be 0, 4, 9, 16 or 25")
    thresholds = values.get("thresholds", {})
    expect(isinstance(thresholds, dict) and thresholds.keys() <= set(labels), "thresholds must be by label")
    expect(all(_within(v, 0, 1) for v in thresholds.values()), "thresholds must be 0..1")
    pooling = values.get("pooling", {})
    expect(isinstance(pooling, dict) and pooling.keys() <= set(map(str, TILES)), "pooling must be by number of tiles")
    for rows in pooling.values():
        expect(isinstance(rows, dict) and set(rows) == set(labels), "pooling must have each label")
        expect(all(isinstance(r, list) and len(r) == 3 for r in rows.values()), "pooling must be three numbers a label")
        expect(all(_within(x, -1000, 1000) for r in rows.values() for x in r), "pooling must be -1000..1000")
    expect(not tiles or str(tiles) in pooling, "pooling lacks its own number of tiles")
    expect(isinstance(values.get("details", {}), dict), "details must be an object")
    measured = values.get("measured", [])
    expect(isinstance(measured, list) and all(isinstance(r, dict) for r in measured), "measured must be a list of rows")
    return {**values, "labels": tuple(labels), "measured": tuple(measured)}


def _within(value: object, least: float, most: float) -> bool:
    """Whether it is a number there; NaN is in no range, and an integer of 300 digits compares without overflow."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


class Model:
    """A model that is ready to score. Owns ONNX Runtime's session.

    card: what the file says of itself. digest: BLAKE2 of the file, 16 hexadecimal digits. provider: the name in
    PROVIDERS that really runs. fallback: why a better provider does not, or None.
    """

    def __init__(self, path: str | Path, *, provider: str = "auto", threads: int = 0):
        """path: a file. threads: how many score on the CPU, 0 for all cores. Raises ModelError."""
        import onnxruntime  # 100 ms: not for `photosearch --help`

        onnxruntime.disable_telemetry_events()  # Windows' own; Linux's is kept from starting in __init__.py
        self.path = Path(path)
        data = _read(self.path)
        self.digest = hashlib.blake2b(data, digest_size=8).hexdigest()
        chosen, self.fallback = choose_provider(provider)
        options = onnxruntime.SessionOptions()
        # On the CPU each of our threads runs the network alone, on its share of a batch. One run on all the cores costs
        # them a fifth more: its threads wait for each other, spinning, while the decoders want the cores.
        self._runs = (threads or os.cpu_count() or 1) if chosen == "cpu" else 1
        self._threads = ThreadPoolExecutor(self._runs)
        options.intra_op_num_threads = 1 if chosen == "cpu" else threads
        options.log_severity_level = 4  # what fails is raised, and said once, in our words
        # Left to itself, ONNX Runtime looks for the external data of a model that came as bytes in the folder that the
        # user stands in. Below a file, this one, there is nothing to find; and it refuses to go up.
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", __file__)
        names = [PROVIDERS[p] for p in dict.fromkeys((chosen, "cpu"))]
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=names)
        except Exception as error:
            raise ModelError(f"{path}: ONNX Runtime can't load this model: {_first_line(error)}") from None
        ran = self._session.get_providers()[0]
        self.provider = next((k for k, v in PROVIDERS.items() if v == ran), ran)
        if self.provider != chosen:
            self.fallback = f"{chosen} did not start"
        self._buffer: Any = None  # an OrtValue on the device
        self.card = self._card()
        self._check()

    def score(self, images: npt.NDArray[np.uint8]) -> Scores:
        """uint8 [N, S, S, 3] -> float32 [N, labels], each 0..1. N may be anything, 0 too. Raises ModelError."""
        if len(images) == 0:
            return np.empty((0, len(self.card.labels)), np.float32)
        try:
            scores = self._in_parts(images)
        except Exception as error:
            raise ModelError(f"{self.path}: the model failed: {_first_line(error)}") from None
        expected = (len(images), len(self.card.labels))
        if scores.shape != expected:
            raise ModelError(f"{self.path}: gave scores of shape {scores.shape}, its card promises {expected}")
        if not (np.isfinite(scores).all() and scores.min() >= -1e-6 and scores.max() <= 1 + 1e-6):
            raise ModelError(f"{self.path}: gave scores that are not in 0..1; the model is broken")
        clipped: Scores = np.clip(scores, 0, 1).astype(np.float32, copy=False)
        return clipped

    def score_views(self, views: npt.NDArray[np.uint8]) -> Scores:
        """uint8 [N, 1 + tiles, S, S, 3] -> float32 [N, labels]: the whole photo's score, pooled with its tiles'."""
        n, t = views.shape[:2]
        scores = self.score(views.reshape(n * t, *views.shape[2:])).reshape(n, t, -1)
        whole: Scores = scores[:, 0]
        return whole if t == 1 else pool(scores, self.card)

    def _in_parts(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """A batch cut into parts for the threads. A photo's score doesn't depend on the photos beside it."""
        step = min(PART.get(self.provider, PART_ELSEWHERE), -(-len(images) // self._runs))
        parts = [images[i : i + step] for i in range(0, len(images), step)]
        return np.concatenate(list(self._threads.map(self._bound if self.provider in BOUND else self._run, parts)))

    def _run(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        (scores,) = self._session.run(None, {self._input: images})
        return np.asarray(scores)

    def _bound(self, images: npt.NDArray[np.uint8], device: str | None = None) -> npt.NDArray[Any]:
        """A batch by way of a buffer on the device that is kept from batch to batch; only uint8 crosses the bus."""
        import onnxruntime

        device = device or BOUND[self.provider]
        if self._buffer is None or tuple(self._buffer.shape()) != images.shape:
            self._buffer = onnxruntime.OrtValue.ortvalue_from_shape_and_type(images.shape, np.uint8, device, 0)
        self._buffer.update_inplace(images)
        binding = self._session.io_binding()
        binding.bind_ortvalue_input(self._input, self._buffer)
        binding.bind_output(self._session.get_outputs()[0].name, "cpu")
        self._session.run_with_iobinding(binding)
        scores: npt.NDArray[Any] = binding.copy_outputs_to_cpu()[0]
        return scores

    def _card(self) -> Card:
        text = self._session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
        if text is None:
            raise ModelError(f"{self.path}: has no card; export it with `python -m train export`")
        try:
            return Card.from_json(text)
        except ValueError as error:
            raise ModelError(f"{self.path}: {error}; export it again with `python -m train export`") from None

    def _check(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        size = self.card.input_size
        if [i.type for i in inputs] != ["tensor(uint8)"] or [o.type for o in outputs] != ["tensor(float)"]:
            raise ModelError(f"{self.path}: must have one uint8 input and one float32 output")
        shape = inputs[0].shape
        if len(shape) != 4 or isinstance(shape[0], int) or [d for d in shape[1:] if isinstance(d, int)] != [
            size, size, 3,
        ]:  # fmt: skip
            raise ModelError(f"{self.path}: takes {shape}, its card promises [N, {size}, {size}, 3]")
        self._input = inputs[0].name
        self.score(np.zeros((2, size, size, 3), np.uint8))


def check_tiles(card: Card, tiles: int) -> None:
    """Raises ModelError where the card has no pooling for this number of tiles."""
    if tiles and str(tiles) not in card.pooling:
        known = ", ".join(["0", *sorted(card.pooling, key=int)])
        raise ModelError(f"{card.name} is not calibrated for --tiles {tiles}, only for {known}")


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


def shipped() -> dict[str, Path]:
    """The models that come with the tool: name -> file."""
    return {p.stem: p for p in sorted(SHIPPED.glob("*.onnx"))}


def resolve(name: str | None) -> Path:
    """What --model was given -> its file: a shipped model's name, a file, None for the default. Raises ModelError."""
    known = shipped()
    name = name or DEFAULT
    if name in known:
        return known[name]
    if os.path.isfile(name):
        return Path(name)
    raise ModelError(f"no model {name!r}: give an .onnx file, or one of {', '.join(known) or 'none'}")


def read_card(path: Path) -> Card:
    """The card alone, at the cost of loading the model on the CPU. Raises ModelError."""
    return Model(path, provider="cpu", threads=1).card


def choose_provider(wanted: str) -> tuple[str, str | None]:
    """-> (the name in PROVIDERS to ask for, why a better one is not asked for or None). Raises ModelError."""
    import onnxruntime

    here = set(onnxruntime.get_available_providers())
    if wanted != "auto":
        if wanted not in PROVIDERS:
            raise ModelError(f"no provider {wanted!r}: give auto or one of {', '.join(PROVIDERS)}")
        if PROVIDERS[wanted] not in here:
            return "cpu", f"{wanted}: this build of ONNX Runtime does not hold it"
        reason = _cuda_missing() if wanted in ("cuda", "tensorrt") else None
        return ("cpu", f"{wanted}: {reason}") if reason else (wanted, None)
    why = None
    for name in AUTO:
        if PROVIDERS[name] in here:
            reason = _cuda_missing() if name == "cuda" else None
            if reason is None:
                return name, why
            why = f"{name}: {reason}"
    return "cpu", why


def _cuda_missing() -> str | None:
    """Why CUDA can't load here, or None. Loads the libraries where it can, so that ONNX Runtime finds them."""
    import onnxruntime

    driver = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    if not _loads(driver):
        return "no NVIDIA driver"
    with contextlib.redirect_stdout(io.StringIO()) as said:  # it prints what it can't load
        onnxruntime.preload_dlls()
    if "Failed" in said.getvalue():
        return "the CUDA libraries are missing; pip install 'photosearch[cuda]'"
    return None


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_MODEL_BYTES:
            raise ModelError(f"{path}: larger than 2 GiB, not a model that can be loaded")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: can't read this model: {error.strerror}") from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:300] if lines else type(error).__name__
