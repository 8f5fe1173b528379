"""A network that can be computed in one's head, and photos of one colour for it.

GlobalAveragePool + Flatten: the score of `red` is the mean of the red channel over 255. A red square comes out red.
Its vector, where its card has that head, is (red, green, blue, darkness): red is (1, 0, 0, 0), black (0, 0, 0, 1),
white (1, 1, 1, 0) / sqrt(3). The toy text tower gives the same vectors for the words red, green, blue and black, the
sum of its words' for a text, and (-1, 0, 0, 0) for a word that it doesn't know.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from photosearch.models.card import CARD_KEY, Card, TextCard

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255), "black": (0, 0, 0)}
LABELS = ("red", "green", "blue")
SPACE = "toy-space"
WORDS = ("[PAD]", "[UNK]", "red", "green", "blue", "black")
POOLING = {"4": dict.fromkeys(LABELS, (0.5, 0.5, 0.0))}


def toy_card(**changes: object) -> Card:
    values = {"name": "toy", "version": "1", "labels": LABELS, "input_size": 8, "pooling": POOLING}
    return Card(**{**values, **changes})


def sight_card(**changes: object) -> Card:
    """Of the toy with both outputs."""
    return toy_card(**{"outputs": ("scores", "vectors"), "space": SPACE, "dimensions": 4, **changes})


def toy_text_card(**changes: object) -> TextCard:
    return TextCard(
        **{**{"name": "toy-text", "version": "1", "space": SPACE, "dimensions": 4, "context": 8}, **changes}
    )


def toy_graph(size: int = 8, *, scale: float = 1 / 255, outputs: tuple[str, ...] = ("scores",)) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["photos"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("GlobalAveragePool", ["nchw"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["scores"]),
        helper.make_node("ReduceMax", ["scores", "columns"], ["most"], keepdims=1),
        helper.make_node("Sub", ["one", "most"], ["darkness"]),
        helper.make_node("Concat", ["scores", "darkness"], ["vectors"], axis=1),
    ]
    taken = helper.make_tensor_value_info("photos", TensorProto.UINT8, ["N", size, size, 3])
    widths = {"scores": 3, "vectors": 4}
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", widths[name]]) for name in outputs]
    values = {"scale": np.float32(scale), "one": np.float32(1), "columns": np.array([1], np.int64)}
    if "vectors" not in outputs:
        nodes, values = nodes[:5], {"scale": values["scale"]}
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "toy", [taken], given, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


def write_toy(path: Path, card: Card | str | None = None, *, scale: float = 1 / 255, size: int = 8) -> Path:
    """card: a Card, or the text that stands in its place."""
    model = toy_graph(size, scale=scale, outputs=card.outputs if isinstance(card, Card) else ("scores",))
    text = card if isinstance(card, str) else (card or toy_card()).to_json()
    helper.set_model_props(model, {CARD_KEY: text})
    onnx.save(model, path)
    return path


def write_toy_text(path: Path, card: TextCard | str | None = None, *, kind: int = TensorProto.INT64) -> Path:
    """A text tower and, beside it, its tokenizer. path: ends in -text.onnx. kind: of the inputs."""
    rows = np.array([[9, 9, 9, 9], [-1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], np.float32)
    nodes = [
        helper.make_node("Gather", ["words", "input_ids"], ["each"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["each", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "row"], ["vectors"], keepdims=0),
    ]
    taken = [helper.make_tensor_value_info(name, kind, ["N", "T"]) for name in ("input_ids", "attention_mask")]
    given = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["N", 4])
    values = {"words": rows, "last": np.array([2], np.int64), "row": np.array([1], np.int64)}
    constants = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "toy-text", taken, [given], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {CARD_KEY: card if isinstance(card, str) else (card or toy_text_card()).to_json()})
    onnx.save(model, path)
    path.with_suffix(".tokenizer.json").write_text(toy_tokenizer())
    return path


def toy_tokenizer(words: tuple[str, ...] = WORDS) -> str:
    """A tokenizer's file: a token a word, and a padding of its own that must be overruled."""
    return json.dumps({
        "version": "1.0",
        "truncation": None,
        "padding": {
            "strategy": {"Fixed": 12}, "direction": "Right", "pad_to_multiple_of": None, "pad_id": 1,
            "pad_type_id": 0, "pad_token": "[UNK]",
        },
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {w: i for i, w in enumerate(words)}, "unk_token": "[UNK]"},
    })  # fmt: skip


def photo(path: Path, colour: str = "red", size: tuple[int, int] = (64, 48), **options: object) -> Path:
    """Write one photo; the format is the name's."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, COLOURS[colour]).save(path, **options)
    return path
