"""A network that can be computed in one's head, and photos of one colour for it.

GlobalAveragePool + Flatten: the score of `red` is the mean of the red channel over 255. A red square comes out red.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from photosearch.model import CARD_KEY, Card

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0)}
LABELS = ("red", "green", "blue")
POOLING = {"4": dict.fromkeys(LABELS, (0.5, 0.5, 0.0))}


def toy_card(**changes: object) -> Card:
    values = {"name": "toy", "version": "1", "labels": LABELS, "input_size": 8, "pooling": POOLING}
    return Card(**{**values, **changes})


def toy_graph(size: int = 8, *, scale: float = 1 / 255) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["photos"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("GlobalAveragePool", ["nchw"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["scores"]),
    ]
    taken = helper.make_tensor_value_info("photos", TensorProto.UINT8, ["N", size, size, 3])
    given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 3])
    constant = numpy_helper.from_array(np.float32(scale), "scale")
    graph = helper.make_graph(nodes, "toy", [taken], [given], [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def write_toy(path: Path, card: Card | str | None = None, *, scale: float = 1 / 255, size: int = 8) -> Path:
    """card: a Card, or the text that stands in its place."""
    model = toy_graph(size, scale=scale)
    text = card if isinstance(card, str) else (card or toy_card()).to_json()
    helper.set_model_props(model, {CARD_KEY: text})
    onnx.save(model, path)
    return path


def photo(path: Path, colour: str = "red", size: tuple[int, int] = (64, 48), **options: object) -> Path:
    """Write one photo; the format is the name's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, COLOURS[colour]).save(path, **options)
    return path
