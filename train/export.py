"""torch -> onnx, compared before it is kept.

The file holds all that a score needs: normalisation, the network, softmax or sigmoid, and the card. Nothing is kept
that was not run: the tool's own `Model` opens the written file and must give the torch network's scores, at other
batch sizes than the one that the export traced. Only then does the file take the place of an older one.
"""

import copy
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import nn

from photosearch.errors import ModelError
from train.tool import CARD_KEY, Card, Model

OPSET = 18  # ONNX 1.13, 2022; ONNX Runtime reads it since 1.14
TRACED = 2  # pictures in the batch that the export traces ...
COMPARED = (1, 7, 8)  # ... and those in the batches that are compared
TOLERANCE = 1e-4  # largest difference of a score between torch and ONNX Runtime, both float32 on the CPU
TOLERANCE_ROUNDED = 5e-2  # the same where weights were rounded after that comparison


def export(
    network: nn.Module, card: Card, path: str | Path, *, half_from: int | None = None, byte_from: int | None = None
) -> float:
    """Write a network and its card as one ONNX file. Returns the largest difference that was seen.

    network: takes uint8 [N, S, S, 3] RGB, gives what the card's heads are, in their order: `scores`, float [N, labels]
    in 0..1, `vectors`, float [N, dimensions] of unit length. Is left as it is.
    half_from, byte_from: keep weights of so many numbers and more as float16, or as int8 with a scale for each output
    channel; computed with as float32: half and a quarter as large on the disk, the same speed.
    Raises ModelError where what ONNX Runtime gives differs from torch's; what stood at `path` then still stands.
    """
    path = Path(path)
    network = copy.deepcopy(network).float().cpu().eval()
    model = onnx.load_from_string(trace(network, card.input_size, *card.heads))
    model.producer_name, model.doc_string = "photosearch train", f"{card.name} {card.version}"
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    with torch.inference_mode():
        given = [(images, _as_tuple(network(torch.from_numpy(images)))) for images in _pictures(card.input_size)]
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        difference = _write_and_compare(model, aside, given, TOLERANCE, path)
        if half_from is not None or byte_from is not None:
            _round_weights(model, half_from, byte_from)
            difference = _write_and_compare(model, aside, given, TOLERANCE_ROUNDED, path)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
    return difference


def embed(path: str | Path, card: Card) -> None:
    """Give a model file another card, the graph untouched."""
    path = Path(path)
    model = onnx.load(str(path))
    del model.metadata_props[:]
    model.doc_string = f"{card.name} {card.version}"
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(model.SerializeToString())
        Model(aside, provider="cpu")
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def describe_command(command: str, settings: Any, own: Any) -> str:
    """What was typed, but for the folders: epochs and seed where they are not the recipe's own."""
    changed = [f" --{k} {getattr(settings, k)}" for k in ("epochs", "seed") if getattr(settings, k) != getattr(own, k)]
    return f"python -m train {command}{''.join(changed)}"


def trace(network: nn.Module, size: int, *outputs: str) -> bytes:
    """An ONNX file's bytes. network: in eval mode, uint8 [N, size, size, 3] (`images`) -> [N, ...] each."""
    example = torch.zeros((TRACED, size, size, 3), dtype=torch.uint8)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated and says so twice; its successor needs onnxscript, and torch is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # ONNX Runtime does it at load
        torch.onnx.export(
            network,
            (example,),
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=list(outputs),
            dynamic_axes={name: {0: "N"} for name in ("images", *outputs)},
        )
    return buffer.getvalue()


def _round_weights(model: onnx.ModelProto, half_from: int | None, byte_from: int | None) -> None:
    """float32 initialisers -> smaller ones with nodes behind them, which ONNX Runtime folds away as it loads."""
    nodes, scales = [], []
    for tensor in model.graph.initializer:
        values, name = numpy_helper.to_array(tensor), tensor.name
        if values.dtype != np.float32:
            continue
        if byte_from is not None and values.size >= byte_from:
            steps = np.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True) / 127
            steps[steps == 0] = 1.0
            scales.append(numpy_helper.from_array(steps, f"{name}.step"))
            tensor.CopyFrom(numpy_helper.from_array(np.rint(values / steps).astype(np.int8), f"{name}.byte"))
            nodes.append(_cast(f"{name}.byte", f"{name}.whole"))
            nodes.append(onnx.helper.make_node("Mul", [f"{name}.whole", f"{name}.step"], [name]))
        elif half_from is not None and values.size >= half_from:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            nodes.append(_cast(f"{name}.half", name))
    nodes += model.graph.node
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(scales)


def _cast(rounded: str, name: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [rounded], [name], to=onnx.TensorProto.FLOAT)


def _write_and_compare(
    model: onnx.ModelProto, aside: Path, given: list[tuple[np.ndarray, tuple]], tolerance: float, path: Path
) -> float:
    """Write the file aside and compare it. Returns the largest difference of a number. Raises ModelError.

    given: batches of pictures and what torch's network gives of them.
    """
    onnx.checker.check_model(model, full_check=True)
    aside.write_bytes(model.SerializeToString())
    opened = Model(aside, provider="cpu")
    worst = 0.0
    for images, tensors in given:
        got = opened.look(images[:, None])
        for head, expected in zip(opened.card.heads, tensors, strict=True):
            ours = getattr(got, head)
            if expected.shape != ours.shape:
                shapes = f"torch gives {head} of shape {tuple(expected.shape)}, the card promises {ours.shape}"
                raise ModelError(f"{path}: {shapes}")
            worst = max(worst, float(np.abs(expected.numpy() - ours).max()))
    if not worst <= tolerance:
        raise ModelError(
            f"{path}: not written, what ONNX Runtime gives differs from torch's by {worst:.2g} > {tolerance}"
        )
    return worst


def _as_tuple(given: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return given if isinstance(given, tuple) else (given,)


def _pictures(size: int) -> Iterator[np.ndarray]:
    """Batches of uint8 [n, size, size, 3], n of COMPARED: noise, then noise that is smooth like a photo."""
    rng = np.random.default_rng(0)
    for n in COMPARED:
        yield rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
        coarse = torch.from_numpy(rng.random((n, 3, 4, 4), dtype=np.float32))
        smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
        yield (smooth.permute(0, 2, 3, 1).contiguous().numpy() * 255).astype(np.uint8)
