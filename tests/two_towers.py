"""Two-tower models in the layouts in which people publish them, small enough to be computed in one's head.

What sees gives (red, green, blue, 1): the mean of each channel after the preparation, and a one. With a mean and a
deviation of 0.5, a red photo is (1, -1, -1, 1) / 2. What reads gives the sum of its words' rows: red is (1, 0, 0, 0),
green, blue and black the next three, a bird is red and green, a beach blue and black, any other word (0.5, 0, 0, 0);
padding is PAD, which counts like a word where no mask hides it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper
from toy import toy_tokenizer

WORDS = ("[PAD]", "[UNK]", "red", "green", "blue", "black", "bird", "beach")
ROWS = [
    [0, 0, 0, 1],
    [0.5, 0, 0, 0],
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [0, 0, 1, 0],
    [0, 0, 0, 1],
    [1, 1, 0, 0],
    [0, 0, 1, 1],
]
SIZE = 8
HALF = {"mean": [0.5] * 3, "std": [0.5] * 3}
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def sees(
    path: Path,
    *,
    name: str = "pixel_values",
    given: str = "image_embeds",
    kind: str = "float32",
    batch: Any = "N",
    size: Any = SIZE,
    channels: str = "first",
    width: int = 4,
    drift: float = 0,
    blind: bool = False,
    outside: str = "",
) -> Path:
    """drift: how much of the batch's mean is in each vector. outside: the file that its numbers are kept in."""
    shape = [batch, 3, size, size] if channels == "first" else [batch, size, size, 3]
    nodes = [helper.make_node("Cast", [name], ["x"], to=TensorProto.FLOAT)]
    if channels == "last":
        nodes.append(helper.make_node("Transpose", ["x"], ["planes"], perm=[0, 3, 1, 2]))
    nodes += [
        helper.make_node("ReduceMean", ["x" if channels == "first" else "planes", "sides"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["mean", "unit"], ["scaled"]),
        helper.make_node("ReduceMean", ["scaled", "first"], ["of all"], keepdims=1),
        helper.make_node("Mul", ["of all", "drift"], ["drifted"]),
        helper.make_node("Add", ["scaled", "drifted"], ["colour"]),
        helper.make_node("ReduceSum", ["colour", "last"], ["sum"], keepdims=1),
        helper.make_node("Mul", ["sum", "zero"], ["none"]),
        helper.make_node("Add", ["none", "one"], ["ones"]),
        helper.make_node("Mul", ["colour", "zero" if blind else "plain"], ["seen"]),
        helper.make_node("Concat", ["seen", *["ones"] * (width - 3)], [given], axis=1),
    ]
    values = {
        "sides": np.array([2, 3], np.int64), "first": np.array([0], np.int64), "last": np.array([1], np.int64),
        "unit": np.full(3, 1 / 255 if kind == "uint8" else 1, np.float32), "zero": np.float32(0),
        "one": np.float32(1), "plain": np.float32(1), "drift": np.float32(drift),
    }  # fmt: skip
    taken = [helper.make_tensor_value_info(name, TYPES[kind], shape)]
    return _save(path, nodes, taken, given, [batch, width], values, outside)


def reads(
    path: Path,
    *,
    name: str = "input_ids",
    given: str = "text_embeds",
    kind: int = TensorProto.INT64,
    shape: Sequence[Any] = ("N", "T"),
    mask: bool = False,
    rows: Sequence[Sequence[float]] = ROWS,
    outside: str = "",
) -> Path:
    nodes = [helper.make_node("Gather", ["words", name], ["each"], axis=0)]
    if mask:
        nodes += [
            helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["mask", "end"], ["column"]),
            helper.make_node("Mul", ["each", "column"], ["kept"]),
        ]
    nodes.append(helper.make_node("ReduceSum", ["kept" if mask else "each", "row"], [given], keepdims=0))
    values = {"words": np.array(rows, np.float32), "row": np.array([1], np.int64)}
    if mask:
        values["end"] = np.array([2], np.int64)
    taken = [helper.make_tensor_value_info(n, kind, list(shape)) for n in (name, *["attention_mask"] * mask)]
    return _save(path, nodes, taken, given, [shape[0], len(rows[0])], values, outside)


def _save(
    path: Path,
    nodes: list[onnx.NodeProto],
    taken: list[onnx.ValueInfoProto],
    given: str,
    shape: Sequence[Any],
    values: dict[str, Any],
    outside: str,
) -> Path:
    out = helper.make_tensor_value_info(given, TensorProto.FLOAT, list(shape))
    constants = [numpy_helper.from_array(np.asarray(value), key) for key, value in values.items()]
    graph = helper.make_graph(nodes, "tower", taken, [out], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    if outside:  # the numbers alone: shapes must be known while the graph is read
        for tensor in model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT and tensor.dims:
                external_data_helper.set_external_data(tensor, outside)
        external_data_helper.write_external_data_tensors(model, str(path.parent))
    path.write_bytes(model.SerializeToString())
    return path


def transformers_js(folder: Path, *, siglip: bool = False, image: Any = None, text: Any = None, **said: Any) -> Path:
    """CLIP, or SigLIP. said: changes to preprocessor_config.json."""
    out = {"given": "pooler_output"} if siglip else {}
    sees(folder / "onnx/vision_model.onnx", **{**out, **(image or {})})
    reads(folder / "onnx/text_model.onnx", **{**out, **(text or {})})
    numbers = {"image_mean": HALF["mean"], "image_std": HALF["std"]}
    clip = {"size": {"shortest_edge": SIZE}, "crop_size": {"height": SIZE, "width": SIZE}, "do_center_crop": True}
    put(folder / "preprocessor_config.json",
        {**numbers, **({"size": {"height": SIZE, "width": SIZE}} if siglip else clip), **said})  # fmt: skip
    kind = "siglip" if siglip else "clip"
    put(folder / "config.json", {"model_type": kind, "text_config": {"vocab_size": len(WORDS)}})
    put(folder / "tokenizer_config.json", {"pad_token": "[PAD]", "model_max_length": 10**30})
    (folder / "tokenizer.json").write_text(toy_tokenizer(WORDS))
    return folder


def immich(folder: Path, *, image: Any = None, text: Any = None, config: Any = None, **said: Any) -> Path:
    """said: changes to preprocess_cfg.json."""
    sees(folder / "visual/model.onnx", **{"name": "image", "given": "embedding", "batch": 1, **(image or {})})
    words = {"name": "text", "given": "embedding", "kind": TensorProto.INT32, "shape": (1, 7), **(text or {})}
    reads(folder / "textual/model.onnx", **words)
    put(folder / "visual/preprocess_cfg.json", {"size": [SIZE, SIZE], "interpolation": "bicubic", **HALF, **said})
    put(folder / "config.json", {"embed_dim": 4, "text_cfg": {"context_length": 7, **(config or {})}})
    put(folder / "textual/tokenizer_config.json", {"pad_token": "[PAD]"})
    (folder / "textual/tokenizer.json").write_text(toy_tokenizer(WORDS))
    return folder


def rclip(folder: Path) -> Path:
    sees(folder / "visual.onnx", name="input", given="output")
    reads(folder / "textual.onnx", name="input", given="output", shape=("N", 7))
    (folder / "tokenizer.json").write_text(toy_tokenizer(WORDS))
    return folder


def put(path: Path, settings: dict[str, Any]) -> None:
    path.write_text(json.dumps(settings))
