"""A model file is hostile input: each of these is rejected in one line, and scores nothing."""

import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from toy import LABELS, photo, sight_card, toy_card, toy_graph, write_toy

from photosearch.errors import ModelError, PhotosearchError
from photosearch.models.card import CARD_KEY, Card
from photosearch.models.session import Model


def card_text(**changes: object) -> str:
    return json.dumps({**json.loads(toy_card().to_json()), **changes})


def linear(weights: TensorProto, *, labels: int = 3) -> onnx.ModelProto:
    """Mean colour, times [3, labels] weights, through a sigmoid."""
    nodes = [
        helper.make_node("Cast", ["photos"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["x", "axes"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["mean", "w"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
    ]
    taken = helper.make_tensor_value_info("photos", TensorProto.UINT8, ["N", 8, 8, 3])
    given = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", labels])
    axes = numpy_helper.from_array(np.array([1, 2], np.int64), "axes")
    return with_card(helper.make_graph(nodes, "linear", [taken], [given], [weights, axes]))


def with_card(graph: onnx.GraphProto, *opsets: onnx.OperatorSetIdProto) -> onnx.ModelProto:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18), *opsets], ir_version=10)
    helper.set_model_props(model, {CARD_KEY: toy_card().to_json()})
    return model


def outside(location: str) -> onnx.ModelProto:
    """A network whose 36 bytes of weights lie in another file."""
    weights = numpy_helper.from_array(np.zeros((3, 3), np.float32), "w")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "36"}.items():
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    return linear(weights)


def one_node(op: str, given: int = TensorProto.FLOAT, domain: str = "", **attributes: object) -> onnx.ModelProto:
    """The toy network, and one more node behind it whose output is of the type `given`."""
    graph = toy_graph().graph
    graph.node.append(helper.make_node(op, ["scores"], ["more"], domain=domain, **attributes))
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info("more", given, ["N", 3]))
    return with_card(graph, helper.make_opsetid(domain, 1)) if domain else with_card(graph)


def two_outputs() -> onnx.ModelProto:
    """Neither is called scores."""
    graph = toy_graph().graph
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 3]) for n in ("flat", "scale"))
    graph.node.append(helper.make_node("Identity", ["flat"], ["also"]))
    graph.output[1].name = "also"
    return with_card(graph)


def with_vectors(*nodes: onnx.NodeProto, given: int = TensorProto.FLOAT, dimensions: int = 4) -> onnx.ModelProto:
    """The toy with both outputs; the nodes make `vectors` from `before`."""
    model = toy_graph(outputs=("scores", "vectors"))
    model.graph.node[-1].output[0] = "before"
    model.graph.node.extend(nodes)
    model.graph.output[1].CopyFrom(helper.make_tensor_value_info("vectors", given, None))
    card = sight_card(dimensions=dimensions)
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    return model


def no_vectors() -> onnx.ModelProto:
    model = toy_graph()
    helper.set_model_props(model, {CARD_KEY: sight_card().to_json()})
    return model


KEEP = helper.make_node("Identity", ["before"], ["vectors"])


def other_input(kind: int, *shape: object) -> onnx.ModelProto:
    graph = toy_graph().graph
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info("photos", kind, shape))
    return with_card(graph)


GRAPHS = {
    "it has two outputs and none is called scores": (
        two_outputs(),
        "its card promises scores, but its graph gives only flat, also",
    ),
    "it gives integers": (one_node("Cast", TensorProto.INT64, to=TensorProto.INT64), "must be float32"),
    "it gives text": (one_node("Cast", TensorProto.STRING, to=TensorProto.STRING), "must be float32"),
    "it gives a sequence": (
        with_card(
            helper.make_graph(
                [*toy_graph().graph.node, helper.make_node("SequenceConstruct", ["scores"], ["more"])],
                "sequence",
                toy_graph().graph.input,
                [helper.make_tensor_sequence_value_info("more", TensorProto.FLOAT, ["N", 3])],
                toy_graph().graph.initializer,
            )
        ),
        "must be float32",
    ),
    "it gives NaN": (one_node("Log"), "gave scores outside 0..1"),
    "it gives more than 1": (one_node("Exp"), None),  # exp(0) is 1: a black photo is scored, a red one refused
    "it gives fewer scores than its card says": (
        linear(numpy_helper.from_array(np.zeros((3, 2), np.float32), "w"), labels=2),
        "gave scores of shape (2, 2), its card promises (2, 3)",
    ),
    "it lacks the vectors that its card promises": (
        no_vectors(),
        "its card promises vectors, but its graph gives only",
    ),
    "it gives shorter vectors than its card says": (
        with_vectors(KEEP, dimensions=5),
        "gave vectors of shape (2, 4), its card promises (2, 5)",
    ),
    "it gives vectors of one rank more": (
        with_vectors(helper.make_node("Unsqueeze", ["before", "columns"], ["vectors"])),
        "gave vectors of shape (2, 1, 4)",
    ),
    "it gives a vector that is zero": (
        with_vectors(helper.make_node("Sub", ["before", "before"], ["vectors"])),
        "gave vectors that are zero or not finite",
    ),
    "it gives a vector that is NaN": (
        with_vectors(
            helper.make_node("Sub", ["before", "before"], ["zero"]),
            helper.make_node("Log", ["zero"], ["low"]),
            helper.make_node("Sub", ["low", "low"], ["vectors"]),
        ),
        "gave vectors that are zero or not finite",
    ),
    "it gives a vector that is infinite": (
        with_vectors(
            helper.make_node("Sub", ["before", "before"], ["zero"]), helper.make_node("Log", ["zero"], ["vectors"])
        ),
        "gave vectors that are zero or not finite",
    ),
    "it gives whole numbers for vectors": (
        with_vectors(helper.make_node("Cast", ["before"], ["vectors"], to=TensorProto.INT32), given=TensorProto.INT32),
        "its output vectors must be float32",
    ),
    "it takes floats": (other_input(TensorProto.FLOAT, "N", 8, 8, 3), "one uint8 input"),
    "it takes channels first": (other_input(TensorProto.UINT8, "N", 3, 8, 8), "its card promises [N, 8, 8, 3]"),
    "it takes another size": (other_input(TensorProto.UINT8, "N", 9, 9, 3), "its card promises [N, 8, 8, 3]"),
    "it takes one photo at a time": (other_input(TensorProto.UINT8, 1, 8, 8, 3), "its card promises [N, 8, 8, 3]"),
    "it takes any size": (other_input(TensorProto.UINT8, "N", "H", "W", 3), "its card promises [N, 8, 8, 3]"),
    "it wants an operator that no one knows": (one_node("Backdoor"), "can't load this model"),
    "it wants a custom operator": (one_node("Backdoor", domain="evil.example"), "can't load this model"),
    "its weights lie in a file above": (outside("../../../../../../etc/passwd"), "can't load this model"),
    "its weights lie in a file by an absolute path": (outside("/etc/passwd"), "can't load this model"),
    "its weights are in the current folder": (outside("weights.bin"), "can't load this model"),
    "its weights lie at an address in memory": (outside("*/_ORT_MEM_ADDR_/*"), "can't load this model"),
}


@pytest.mark.parametrize("what", [name for name, (_, said) in GRAPHS.items() if said])
def test_model_rejects_network(what, tmp_path, monkeypatch):
    model, said = GRAPHS[what]
    (tmp_path / "weights.bin").write_bytes(bytes(36))
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError) as refused:
        Model("m.onnx")
    assert said in str(refused.value)
    assert str(refused.value).startswith("m.onnx: ")
    assert "\n" not in str(refused.value)


CARDS = {
    "is empty": "",
    "isn't JSON": "{",
    "isn't an object": "[1, 2]",
    "is a number too long to read": "9" * 5000,
    "nests too deep to read": "[" * 100_000,
    "nests too deep to write": card_text(details={"a": json.loads("[" * 800 + "]" * 800)}),
    "lacks its labels": json.dumps({k: v for k, v in json.loads(card_text()).items() if k != "labels"}),
    "has two labels for three scores": card_text(labels=["red", "green"], pooling={}),
    "has four labels for three scores": card_text(labels=[*LABELS, "alpha"], pooling={}),
    "has no labels": card_text(labels=[], pooling={}),
    "has one label twice": card_text(labels=["red", "red", "blue"], pooling={}),
    "has a number for a label": card_text(labels=["red", 7, "blue"], pooling={}),
    "has a list for a label": card_text(labels=["red", [], "blue"], pooling={}),
    "has a label that moves the cursor": card_text(labels=["red", "\x1b[2J", "blue"], pooling={}),
    "has a name of many lines": card_text(name="toy\nok"),
    "has a version that moves the cursor": card_text(version="\x1b[2J"),
    "has half a surrogate pair": card_text(licence="\ud800"),
    "has a threshold above 1": card_text(thresholds={"red": 1.5}),
    "has a threshold that is no number": card_text(thresholds={"red": float("nan")}),
    "has a threshold of 400 digits": card_text(thresholds={"red": 10**400}),
    "has a threshold for a label it lacks": card_text(thresholds={"mauve": 0.5}),
    "has true for a size": card_text(input_size=True),
    "has a size that no memory holds": card_text(input_size=10**9),
    "has text for a size": card_text(input_size="8"),
    "has half a tile": card_text(tiles=4.0),
    "has tiles without pooling": card_text(tiles=9),
    "pools by a word": card_text(pooling={"four": {label: [0.5, 0.5, 0.0] for label in LABELS}}),
    "pools two numbers": card_text(pooling={"4": {label: [0.5, 0.5] for label in LABELS}}),
    "pools to infinity": card_text(pooling={"4": {label: [1e308, 1e308, 0.0] for label in LABELS}}),
    "pools by 400 digits": card_text(pooling={"4": {label: [10**400, 0, 0] for label in LABELS}}),
    "fits in a way that no one knows": card_text(fit="stretch"),
    "measured a word": card_text(measured="well"),
    "has no outputs": card_text(outputs=[]),
    "has an unknown output": card_text(outputs=["scores", "boxes"]),
    "has a list for an output": card_text(outputs=["scores", []]),
    "has one output twice": card_text(outputs=["scores", "scores"]),
    "has vectors in no space": card_text(outputs=["scores", "vectors"]),
    "has a space and no vectors": card_text(space={"name": "s", "dim": 4}),
    "has text for a space": card_text(outputs=["scores", "vectors"], space="s"),
    "has a space of many lines": card_text(outputs=["scores", "vectors"], space={"name": "s\nt", "dim": 4}),
    "has a space without dimensions": card_text(outputs=["scores", "vectors"], space={"name": "s", "dim": 0}),
    "has a space that no memory holds": card_text(outputs=["scores", "vectors"], space={"name": "s", "dim": 10**9}),
    "has a min_score above 1": card_text(min_score=1.5),
    "has a min_score that is no number": card_text(min_score=float("nan")),
    "has a threshold below its min_score": card_text(min_score=0.5, thresholds={"red": 0.25}),
    "rests on a label it lacks": card_text(thresholds_rest_on={"mauve": 7}),
    "rests on less than nothing": card_text(thresholds_rest_on={"red": -1}),
    "rests on many lines": card_text(thresholds_rest_on={"red": "a\nb"}),
    "is a text model's": card_text(kind="text"),
    "is of a kind that no one knows": card_text(kind="sound"),
    "is longer than any card": card_text(licence=" " * 11_000_000),
}


@pytest.mark.parametrize("what", CARDS)
def test_model_rejects_card(what, tmp_path):
    path = write_toy(tmp_path / "m.onnx", CARDS[what])
    with pytest.raises(ModelError, match="card") as refused:
        Model(path)
    assert "\n" not in str(refused.value)


def test_model_rejects_file_without_card(tmp_path):
    onnx.save(toy_graph(), tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="has no card"):
        Model(tmp_path / "m.onnx")


def test_card_ignores_unknown_fields():
    assert Card.from_json(card_text(colour="blue")) == Card.from_json(card_text())


def test_model_rejects_truncated_file(tmp_path):
    whole = write_toy(tmp_path / "whole.onnx").read_bytes()
    said = set()
    for length in range(len(whole)):
        (tmp_path / "cut.onnx").write_bytes(whole[:length])
        with pytest.raises(ModelError) as refused:
            Model(tmp_path / "cut.onnx")
        said.add(str(refused.value))
    assert not any("\n" in line for line in said)


@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"GIF89a" + bytes(100), random.Random(1).randbytes(5000)])
def test_model_rejects_other_file(content, tmp_path):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError):
        Model(tmp_path / "m.onnx")


def test_model_failing_during_run_keeps_old_scores(tmp_path):
    from photosearch.index.run import index
    from photosearch.library.database import Database

    for i in range(6):
        photo(tmp_path / "photos" / f"{i}.png", "red" if i % 2 else "black", size=(20 + i, 20))
    with Database(tmp_path / "s.db", create=True) as db:
        good = Model(write_toy(tmp_path / "a.onnx"))
        list(index(db, [str(tmp_path / "photos")], lambda name: good))
        before = db.rows("SELECT * FROM scores ORDER BY label_id, image_id")
        (tmp_path / "b.onnx").write_bytes(GRAPHS["it gives more than 1"][0].SerializeToString())
        worse = Model(tmp_path / "b.onnx")
        with pytest.raises(PhotosearchError, match=r"outside 0\.\.1"):
            list(index(db, [str(tmp_path / "photos")], lambda name: worse))
        assert db.rows("SELECT * FROM scores ORDER BY label_id, image_id") == before
        assert len(before) == 18


@pytest.mark.skipif(not Path("/usr/bin/strace").exists(), reason="strace is not here")
def test_model_opens_no_other_file(tmp_path):
    (tmp_path / "weights.bin").write_bytes(bytes(36))
    (tmp_path / "m.onnx").write_bytes(outside("weights.bin").SerializeToString())
    program = (
        "import sys; from photosearch.models.session import Model; import onnxruntime; print('now'); Model('m.onnx')"
    )
    traced = subprocess.run(
        ["strace", "-f", "-e", "trace=open,openat", "-o", "trace", sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    opened = (tmp_path / "trace").read_text()
    assert "ModelError" in traced.stderr
    assert "m.onnx" in opened
    assert "weights.bin" not in opened


# ---- how long it runs


def loop(op: str, trips: int = 2**62) -> onnx.ModelProto:
    """The toy network behind an operator that runs a graph of its own, again and again."""
    one = helper.make_tensor_value_info
    same = [helper.make_node("Identity", ["in"], ["out"]), helper.make_node("Identity", ["more"], ["go on"])]
    model = toy_graph()
    if op == "Loop":
        taken = [one("i", TensorProto.INT64, []), one("more", TensorProto.BOOL, []), one("in", TensorProto.FLOAT, None)]
        given = [one("go on", TensorProto.BOOL, []), one("out", TensorProto.FLOAT, None)]
        node = helper.make_node("Loop", ["trips", "", "scores"], ["more scores"],
                                body=helper.make_graph(same, "body", taken, given))  # fmt: skip
    elif op == "Scan":
        body = helper.make_graph(same[:1], "body", [one("in", TensorProto.FLOAT, None)],
                                 [one("out", TensorProto.FLOAT, None)])  # fmt: skip
        node = helper.make_node("Scan", ["scores"], ["more scores"], body=body, num_scan_inputs=1)
    else:
        body = helper.make_graph(same[:1], "body", [one("in", TensorProto.FLOAT, None)],
                                 [one("out", TensorProto.FLOAT, None)])  # fmt: skip
        model.graph.node.append(helper.make_node("SequenceConstruct", ["scores"], ["sequence"]))
        node = helper.make_node("SequenceMap", ["sequence"], ["more scores"], body=body)
    model.graph.initializer.append(numpy_helper.from_array(np.array(trips, np.int64), "trips"))
    model.graph.node.append(node)
    return with_card(model.graph)


def functions(n: int, called: str = "f{}") -> onnx.ModelProto:
    """n functions, each of which calls the one before twice: 2 ** n operators."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
    made = []
    for i in range(n):
        op, domain = (called.format(i - 1), "own") if i else ("Identity", "")
        nodes = [helper.make_node(op, ["a"], ["b"], domain=domain), helper.make_node(op, ["b"], ["c"], domain=domain)]
        made.append(helper.make_function("own", f"f{i}", ["a"], ["c"], nodes, opsets))
    graph = toy_graph().graph
    graph.node.append(helper.make_node(f"f{n - 1}", ["scores"], ["scores again"], domain="own"))
    model = with_card(graph, opsets[1])
    model.functions.extend(made)
    return model


def nested(op: str) -> onnx.ModelProto:
    """The operator in a branch of an `If` in a function."""
    inner = loop(op).graph.node[-1]
    yes = helper.make_graph([inner], "yes", [], [helper.make_tensor_value_info("more scores", TensorProto.FLOAT, None)])
    model = functions(1)
    model.functions[0].node.append(helper.make_node("If", ["a"], ["d"], then_branch=yes, else_branch=yes))
    return model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (loop("Loop"), r"its graph loops \(Loop\), so that it may never end"),
        (loop("Loop", 1), r"its graph loops \(Loop\)"),
        (loop("Scan"), r"its graph loops \(Scan\)"),
        (loop("SequenceMap"), r"its graph loops \(SequenceMap\)"),
        (nested("Loop"), r"its graph loops \(Loop\)"),
        (functions(40), "its graph has more than 200,000 operators"),
        (functions(3, "f2"), "a function of its graph calls itself"),
    ],
    ids=["Loop", "Loop once", "Scan", "SequenceMap", "nested", "functions", "recursion"],
)
def test_model_that_may_never_end_is_refused(model, said, tmp_path):
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=said) as told:
        Model(tmp_path / "m.onnx")
    assert "\n" not in str(told.value)


def test_model_with_a_branch_and_functions_is_accepted(tmp_path):
    model = functions(5)
    branch = helper.make_graph([helper.make_node("Identity", ["scores"], ["same"])], "branch", [],
                               [helper.make_tensor_value_info("same", TensorProto.FLOAT, None)])  # fmt: skip
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.append(helper.make_node("If", ["yes"], ["branched"], then_branch=branch, else_branch=branch))
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    Model(tmp_path / "m.onnx")
