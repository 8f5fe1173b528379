"""torch -> ONNX: trace, round weights, embed the card, compare with torch, and only then replace the file.

A file contains all that a score needs: normalisation, the network, softmax or sigmoid, and the card. `export` opens the
written file with photosearch's own `Model`, which must reproduce torch's output at other batch sizes than the traced
one; otherwise an older file stays as it was.
"""

import copy
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn

from photosearch.errors import ModelError
from train.atomic import replacing
from train.tool import CARD_KEY, Card, Model, TextCard, catalog

OPSET = 18  # ONNX 1.13, 2022; supported since ONNX Runtime 1.14
COMPARED_BATCHES = (1, 7, 8)  # pictures; the export traces a batch of 2
MAX_DIFFERENCE = 1e-4  # of a score between torch and ONNX Runtime, both float32 on the CPU ...
MAX_DIFFERENCE_ROUNDED = 5e-2  # ... and after rounding the weights

Batch = tuple[np.ndarray, tuple[torch.Tensor, ...]]  # pictures and torch's outputs


def export(
    network: nn.Module, card: Card, path: str | Path, *, half_from: int | None = None, byte_from: int | None = None
) -> float:
    """Write a network and its card as one ONNX file; returns the largest difference from torch.

    network: uint8 [N, S, S, 3] RGB -> the card's heads in their order: `scores`, float [N, labels] in 0..1, `vectors`,
    float [N, dimensions] of unit length. It is not changed. half_from, byte_from: see `round_weights`.
    Raises ModelError if ONNX Runtime's output differs from torch's; a file at `path` then stays as it was.
    """
    path = Path(path)
    network = copy.deepcopy(network).float().cpu().eval()
    model = onnx.load_from_string(trace(network, blank_images(card.input_size), card.outputs))
    embed(model, card)
    with torch.inference_mode():
        batches = [(images, _as_tuple(network(torch.from_numpy(images)))) for images in _draw_images(card.input_size)]
    with replacing(path) as temporary:
        difference = _write_and_compare(model, temporary, batches, MAX_DIFFERENCE, path)
        if half_from is not None or byte_from is not None:
            round_weights(model, half_from=half_from, byte_from=byte_from)
            difference = _write_and_compare(model, temporary, batches, MAX_DIFFERENCE_ROUNDED, path)
    return difference


def write(model: onnx.ModelProto, card: Card | TextCard, path: str | Path) -> None:
    """Write a graph that was assembled by hand, with its card; both are read back before the file replaces another."""
    embed(model, card)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(model.SerializeToString())
        open_session(temporary)
        catalog.read_card(temporary)


def replace_card(path: str | Path, card: Card) -> None:
    """Give a model file another card; the graph stays the same."""
    write(onnx.load(str(path)), card, path)


def embed(model: onnx.ModelProto, card: Card | TextCard) -> None:
    """Put a card into a graph's metadata, in place of any other."""
    del model.metadata_props[:]
    model.producer_name, model.doc_string, model.graph.name = (
        "photosearch train",
        f"{card.name} {card.version}",
        card.name,
    )
    onnx.helper.set_model_props(model, {CARD_KEY: card.to_json()})


def describe_command(command: str, settings: Any, defaults: Any) -> str:
    """The command of a run without its folders: epochs and seed only where they differ from the recipe's."""
    changed = [
        f" --{name} {getattr(settings, name)}"
        for name in ("epochs", "seed")
        if getattr(settings, name) != getattr(defaults, name)
    ]
    return f"python -m train {command}{''.join(changed)}"


def blank_images(size: int) -> dict[str, torch.Tensor]:
    """The example input of an image model."""
    return {"images": torch.zeros((2, size, size, 3), dtype=torch.uint8)}


def trace(
    network: nn.Module, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str], *, second_axis: str | None = None
) -> bytes:
    """A network in eval mode -> the bytes of an ONNX file.

    inputs: an example of each by name. The first axis of inputs and outputs is N and may have any length.
    second_axis: the name of the inputs' second axis if it may have any length too.
    """
    axes = {name: {0: "N"} for name in (*inputs, *outputs)}
    if second_axis:
        axes |= {name: {0: "N", 1: second_axis} for name in inputs}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated and says so twice; its successor needs onnxscript, and torch is pinned.
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Constant folding", UserWarning)  # ONNX Runtime does it when loading
        if second_axis:  # a sequence model reads its inputs' shapes, which then stay variables of the graph
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            network, tuple(inputs.values()), buffer, dynamo=False, opset_version=OPSET, input_names=list(inputs),
            output_names=list(outputs), dynamic_axes=axes,
        )  # fmt: skip
    return buffer.getvalue()


def open_session(model: bytes | str | Path, threads: int = 1) -> onnxruntime.InferenceSession:
    """A model on the CPU. threads: 0 for all. Idle threads do not spin, so that others can prepare the next batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    content = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def round_weights(model: onnx.ModelProto, *, half_from: int | None = None, byte_from: int | None = None) -> None:
    """Store large float32 weights as float16 or int8, and compute with them as float32: smaller files, the same speed.

    half_from, byte_from: the least number of elements. Int8 has a scale per output channel: per column of a MatMul's
    weight, per row of any other. ONNX Runtime unpacks weights when it loads the file, an embedding's rows when they are
    looked up.
    """
    axes = {n.input[1]: 0 for n in model.graph.node if n.op_type == "MatMul"}
    tables = {n.input[0] for n in model.graph.node if n.op_type == "Gather"}
    unpack, scales, rounded_tables = [], [], set()
    for tensor in model.graph.initializer:
        values, name = numpy_helper.to_array(tensor), tensor.name
        if values.dtype != np.float32:
            continue
        if byte_from is not None and values.size >= byte_from:
            axis = axes.get(name, tuple(range(1, values.ndim)))
            scale = np.abs(values).max(axis=axis, keepdims=True) / np.float32(127)
            scale[scale == 0] = 1.0
            scales.append(numpy_helper.from_array(scale, f"{name}.step"))
            tensor.CopyFrom(numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{name}.byte"))
            if name in tables:
                rounded_tables.add(name)
            else:
                unpack += _multiply(f"{name}.byte", f"{name}.step", name)
        elif half_from is not None and values.size >= half_from:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            unpack.append(_cast(f"{name}.half", name))
    nodes = [
        new
        for node in model.graph.node
        for new in (_look_up(node) if node.op_type == "Gather" and node.input[0] in rounded_tables else [node])
    ]
    del model.graph.node[:]
    model.graph.node.extend([*unpack, *nodes])
    model.graph.initializer.extend(scales)


def _look_up(gather: onnx.NodeProto) -> list[onnx.NodeProto]:
    """A row of an int8 table, multiplied by its scale."""
    (table, ids), out = gather.input, gather.output[0]
    rows = [
        onnx.helper.make_node("Gather", [f"{table}.{part}", ids], [f"{out}.{part}"], axis=0)
        for part in ("byte", "step")
    ]
    return [*rows, *_multiply(f"{out}.byte", f"{out}.step", out)]


def _multiply(rounded: str, scale: str, name: str) -> list[onnx.NodeProto]:
    return [_cast(rounded, f"{name}.whole"), onnx.helper.make_node("Mul", [f"{name}.whole", scale], [name])]


def _cast(rounded: str, name: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [rounded], [name], to=onnx.TensorProto.FLOAT)


def _write_and_compare(
    model: onnx.ModelProto, temporary: Path, batches: Sequence[Batch], tolerance: float, path: Path
) -> float:
    """Write a model and compare it with torch; returns the largest difference of a number. Raises ModelError."""
    onnx.checker.check_model(model, full_check=True)
    temporary.write_bytes(model.SerializeToString())
    opened = Model(temporary, provider="cpu")
    difference = 0.0
    for images, tensors in batches:
        outputs = opened.predict(images[:, None])
        for head, expected in zip(opened.card.outputs, tensors, strict=True):
            ours = getattr(outputs, head)
            if expected.shape != ours.shape:
                shapes = f"torch's {head} have the shape {tuple(expected.shape)}, the card promises {ours.shape}"
                raise ModelError(f"{path}: {shapes}")
            difference = max(difference, float(np.abs(expected.numpy() - ours).max()))
    if not difference <= tolerance:
        differs = f"ONNX Runtime's output differs from torch's by {difference:.2g} > {tolerance}"
        raise ModelError(f"{path}: not written: {differs}")
    return difference


def _as_tuple(outputs: torch.Tensor | tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _draw_images(size: int) -> Iterator[np.ndarray]:
    """uint8 [n, size, size, 3] for each of COMPARED_BATCHES: noise, and noise as smooth as a photo."""
    rng = np.random.default_rng(0)
    for n in COMPARED_BATCHES:
        yield rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8)
        coarse = torch.from_numpy(rng.random((n, 3, 4, 4), dtype=np.float32))
        smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
        yield (smooth.permute(0, 2, 3, 1).contiguous().numpy() * 255).astype(np.uint8)
