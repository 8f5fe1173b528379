"""EfficientNet-Lite as one ONNX graph, uint8 pixels -> features, in float32 or in int8.

Int8: ONNX Runtime's static quantisation (QDQ, a scale per output channel, activation ranges measured on training
photographs of Flickr8k and Caltech-101). Processors without VNNI add two neighbouring products in sixteen bits, which
overflow if both weights are large, so the scale of a channel is widened until no two neighbours can. The result is the
same on every processor and costs a third of a bit; ONNX Runtime's own reduce_range costs a whole one.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from train.atomic import replacing
from train.export import blank_images, trace
from train.networks.lite import SIZES, TAPS, Pretrained
from train.recipes.features import list_examples
from train.tool import decode, prepare_file

RANGE_PICTURES = {"flickr8k": 80, "caltech-101": 40}  # of the training parts: activation ranges are measured on them
MAX_PAIR = 127  # 255 * 127 + 255 < 2^15: the largest sum of two neighbouring weights, rounding included
QUANTISED = ("Conv", "Clip", "Add")


def build(name: str, cache: Path) -> bytes:
    """The network in float32: uint8 [N, S, S, 3] `images` -> float32 [N, F] `features`. name: lite0 to lite2."""
    path = cache / f"{name}-tap.onnx"
    if not path.exists():
        content = trace(Pretrained(name, TAPS.get(name)).eval(), blank_images(SIZES[name]), ["features"])
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    return path.read_bytes()


def quantise(network: bytes, name: str, fit: decode.Fit, data: str | Path, cache: Path) -> bytes:
    """The same graph with int8 convolutions, from `cache` if it is there."""
    key = hashlib.sha256(network + f"{fit} {RANGE_PICTURES} pairs".encode()).hexdigest()[:16]
    path = cache / f"{name}-int8-{key}.onnx"
    if not path.exists():
        with tempfile.TemporaryDirectory() as folder, replacing(path) as temporary:
            plain, folded, quantised = (Path(folder) / n for n in ("plain.onnx", "folded.onnx", "int8.onnx"))
            plain.write_bytes(network)
            quant_pre_process(str(plain), str(folded), skip_symbolic_shape=True)
            quantize_static(
                str(folded), str(quantised), RangeReader(choose_pictures(data), SIZES[name], fit),
                quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=False,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                nodes_to_quantize=[n.name for n in onnx.load(folded).graph.node if n.op_type in QUANTISED],
            )  # fmt: skip
            model = onnx.load(quantised)
            widen_scales(model, onnx.load(folded))
            temporary.write_bytes(model.SerializeToString())
    return path.read_bytes()


def widen_scales(model: onnx.ModelProto, plain: onnx.ModelProto) -> None:
    """Give each channel of a convolution a scale at which no two neighbouring products overflow sixteen bits.

    model: the quantised graph, whose weights are rounded again; plain: the graph in float32. Depthwise convolutions
    add in 32 bits and stay as they are.
    """
    tensors = {t.name: t for t in model.graph.initializer}
    weights = {t.name: numpy_helper.to_array(t) for t in plain.graph.initializer}
    sources = {n.output[0]: n.input for n in model.graph.node if n.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type != "Conv" or node.input[1] not in sources:
            continue
        name, scale_name = sources[node.input[1]][:2]
        weight = weights[name.removesuffix("_quantized")]
        if weight.shape[1] == 1:
            continue
        old = numpy_helper.to_array(tensors[scale_name])
        pairs = max_pair(weight / old[:, None, None, None])
        scale = (old * np.maximum(1, pairs / MAX_PAIR)).astype(np.float32)
        bias_name, bias_scale_name = sources[node.input[2]][:2]
        bias_scale = (numpy_helper.to_array(tensors[bias_scale_name]) * (scale / old)).astype(np.float32)
        rounded = np.rint(weight / scale[:, None, None, None]).clip(-127, 127).astype(np.int8)
        bias = np.rint(weights[bias_name.removesuffix("_quantized")] / bias_scale).astype(np.int32)
        changed = {scale_name: scale, name: rounded, bias_scale_name: bias_scale, bias_name: bias}
        for key, values in changed.items():
            tensors[key].CopyFrom(numpy_helper.from_array(values, key))


def max_pair(weight: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """[O, I, H, W] -> [O]: the largest sum of two neighbours along I, or of any two if H or W is more than 1."""
    o, i, h, w = weight.shape
    if h * w > 1:
        return np.sort(np.abs(weight.reshape(o, -1)), axis=1)[:, -2:].sum(1)
    row = np.pad(weight.reshape(o, i), ((0, 0), (0, i % 2)))
    return np.abs(row[:, 0::2] + row[:, 1::2]).max(1)


def choose_pictures(data: str | Path) -> list[Path]:
    """RANGE_PICTURES of the training parts, evenly spaced."""
    paths: list[Path] = []
    for name, n in RANGE_PICTURES.items():
        examples = list_examples(data, name, "train")
        paths += [examples[i].path for i in np.linspace(0, len(examples) - 1, n).astype(int)]
    return paths


class RangeReader(CalibrationDataReader):
    """The interface of quantize_static: one batch of one picture after another, then None."""

    def __init__(self, paths: Sequence[Path], size: int, fit: decode.Fit):
        self._batches: Iterator[dict[str, npt.NDArray[np.uint8]]] = (
            {"images": prepare_file(p, size, fit=fit)} for p in paths
        )

    def get_next(self) -> dict[str, Any] | None:
        return next(self._batches, None)
