"""EfficientNet-Lite as one ONNX graph, uint8 pixels -> features, in float32 or in int8 for processors.

Int8: ONNX Runtime's static quantisation (QDQ, a scale for each output channel, the range of each activation seen on
training photographs of Flickr8k and Caltech-101). Processors without VNNI add two neighbouring products in sixteen
bits, which overflow where both weights are large: a channel's scale is widened until no two neighbours can. That is
the same number on every processor for a third of a bit, where ONNX Runtime's own reduce_range takes a whole one.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from train.networks import untouched
from train.recipes import frozen

PICTURES = 120  # that the ranges are seen on
SETS = ("flickr8k", "caltech-101")  # whose training parts they come from, two thirds and one third
MOST = 127  # 255 * 127 + 255 < 2^15: what two neighbouring weights may add up to, the rounding included
IN_INT8 = ("Conv", "Clip", "Add")


def build(name: str, cache: Path) -> bytes:
    """The network in float32: uint8 [N, S, S, 3] `images` -> float32 [N, 1280] `features`. name: lite0 to lite2."""
    path = cache / f"{name}.onnx"
    if not path.exists():
        network = untouched.Lite(name).eval()
        pixels = torch.zeros(2, network.size, network.size, 3, dtype=torch.uint8)
        cache.mkdir(parents=True, exist_ok=True)
        path.write_bytes(untouched.trace(network, {"images": pixels}, ["features"]))
    return path.read_bytes()


def quantise(network: bytes, name: str, fit: str, data: str | Path, cache: Path) -> bytes:
    """The same graph with convolutions in int8, kept in `cache`."""
    key = hashlib.sha256(network + f"{fit} {PICTURES} {SETS} pairs".encode()).hexdigest()[:16]
    path = cache / f"{name}-int8-{key}.onnx"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder:
            plain, folded, out = (Path(folder) / n for n in ("plain.onnx", "folded.onnx", "int8.onnx"))
            plain.write_bytes(network)
            quant_pre_process(str(plain), str(folded), skip_symbolic_shape=True)
            nodes = [n.name for n in onnx.load(folded).graph.node if n.op_type in IN_INT8]
            quantize_static(
                str(folded),
                str(out),
                Photographs(sample(data), untouched.SIZES[name], fit),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=False,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                nodes_to_quantize=nodes,
            )
            model = onnx.load(out)
            widen(model, onnx.load(folded))
            path.write_bytes(model.SerializeToString())
    return path.read_bytes()


def widen(model: onnx.ModelProto, plain: onnx.ModelProto) -> None:
    """Give each channel of a convolution a scale at which no two neighbouring products overflow sixteen bits.

    model: quantised, its weights rounded anew; plain: the same before. A depthwise convolution adds in 32 bits.
    """
    tensors = {t.name: t for t in model.graph.initializer}
    weights = {t.name: numpy_helper.to_array(t) for t in plain.graph.initializer}
    unpacked = {n.output[0]: n.input for n in model.graph.node if n.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in unpacked:
            continue
        name, scale = unpacked[node.input[1]][:2]
        weight = weights[name.removesuffix("_quantized")]
        if weight.shape[1] == 1:
            continue
        old = numpy_helper.to_array(tensors[scale])
        new = (old * np.maximum(1, heaviest_pair(weight / old[:, None, None, None]) / MOST)).astype(np.float32)
        bias, bias_scale = unpacked[node.input[2]][:2]
        its = numpy_helper.to_array(tensors[bias_scale]) * (new / old)
        rounded = np.rint(weight / new[:, None, None, None]).clip(-127, 127).astype(np.int8)
        whole = np.rint(weights[bias.removesuffix("_quantized")] / its).astype(np.int32)
        for key, values in ((scale, new), (name, rounded), (bias_scale, its.astype(np.float32)), (bias, whole)):
            tensors[key].CopyFrom(numpy_helper.from_array(values, key))


def heaviest_pair(weight: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """[O, I, H, W] -> [O]: the largest sum of two neighbours along I; of any two where H and W are more than 1."""
    o, i, h, w = weight.shape
    if h * w > 1:
        return np.sort(np.abs(weight.reshape(o, -1)), axis=1)[:, -2:].sum(1)
    row = np.pad(weight.reshape(o, i), ((0, 0), (0, i % 2)))
    return np.abs(row[:, 0::2] + row[:, 1::2]).max(1)


def sample(data: str | Path) -> list[Path]:
    """PICTURES of the training parts, evenly spaced."""
    found: list[Path] = []
    for name, n in zip(SETS, (PICTURES * 2 // 3, PICTURES // 3), strict=True):
        paths = [p.path for p in frozen.pictures(data, name, "train")]
        found += [paths[i] for i in np.linspace(0, len(paths) - 1, n).astype(int)]
    return found


class Photographs(CalibrationDataReader):
    """What quantize_static asks for: one batch of one picture after another, then None."""

    def __init__(self, paths: Sequence[Path], size: int, fit: str):
        self._batches: Iterator[dict[str, npt.NDArray[np.uint8]]] = (
            {"images": frozen.pixels(p, size, fit)[None]} for p in paths
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)
