"""What is read of an .onnx file without ONNX Runtime, compared with onnx's own reader, and for arbitrary bytes."""

import io

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from toy import toy_card, toy_graph

from photosearch.models import protobuf
from photosearch.models.card import CARD_KEY
from photosearch.models.protobuf import check_operators, list_external_files, read_metadata


def outside(location: str) -> onnx.TensorProto:
    tensor = numpy_helper.from_array(np.zeros((3, 3), np.float32), location)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "offset": "0", "length": "36"}.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return tensor


def everywhere() -> bytes:
    """Weights outside, in each place where a model may keep them."""
    model = toy_graph()
    graph = model.graph
    graph.initializer.append(outside("initializer"))
    graph.node.append(helper.make_node("Constant", [], ["c"], value=outside("constant")))
    many = helper.make_node("Many", [], ["m"])
    many.attribute.append(helper.make_attribute("values", [outside("one of many"), outside("another of many")]))
    graph.node.append(many)
    branch = helper.make_graph([], "branch", [], [], [outside("in a branch")])
    inner = helper.make_graph([helper.make_node("If", ["y"], ["z"], then_branch=branch)], "inner", [], [])
    graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=toy_graph().graph))
    sparse = onnx.SparseTensorProto(values=outside("sparse values"), indices=outside("sparse places"), dims=[3, 3])
    graph.sparse_initializer.append(sparse)
    node = helper.make_node("Constant", [], ["c"], value=outside("in a function"))
    model.functions.append(helper.make_function("mine", "f", [], ["c"], [node], [helper.make_opsetid("", 18)]))
    helper.set_model_props(model, {"location": "not a file", CARD_KEY: toy_card().to_json()})
    return model.SerializeToString()


def test_list_external_files_finds_them_anywhere():
    assert list_external_files(io.BytesIO(everywhere())) == {
        "initializer", "constant", "one of many", "another of many", "in a branch", "sparse values", "sparse places",
        "in a function",
    }  # fmt: skip


def test_list_external_files_of_plain_model_is_empty():
    assert list_external_files(io.BytesIO(toy_graph().SerializeToString())) == set()


def test_list_external_files_rejects_endless_nesting():
    graph = helper.make_graph([], "deepest", [], [])
    for _ in range(30):
        graph = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=graph)], "more", [], [])
    with pytest.raises(ValueError, match="nests too deep"):
        list_external_files(io.BytesIO(helper.make_model(graph).SerializeToString()))


WHOLE = everywhere()


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_protobuf_reads_or_rejects_any_bytes(data):
    for how in (lambda file: read_metadata(file, CARD_KEY), list_external_files):
        try:
            how(io.BytesIO(data))
        except ValueError as error:
            assert str(error).startswith(("it ", "its ", "an entry "))  # noqa: PT017


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
@settings(deadline=None)
def test_protobuf_reads_or_rejects_model_with_changed_byte(at, byte):
    data = bytearray(WHOLE)
    data[at] = byte
    test_protobuf_reads_or_rejects_any_bytes.hypothesis.inner_test(bytes(data))


def test_read_metadata_skips_fixed_width_and_rejects_groups():
    """onnx writes no such fields into a model's top; another program may."""
    fixed64, fixed32, group = (_tag(100, kind) for kind in (1, 5, 3))
    data = fixed64 + bytes(8) + fixed32 + bytes(4) + WHOLE
    assert read_metadata(io.BytesIO(data), CARD_KEY) == toy_card().to_json()
    for cut in (fixed64 + bytes(4), fixed32 + bytes(3)):
        with pytest.raises(ValueError, match="it is truncated"):
            read_metadata(io.BytesIO(cut), CARD_KEY)
    with pytest.raises(ValueError, match=r"it is not an \.onnx file"):
        read_metadata(io.BytesIO(group + bytes(4) + WHOLE), CARD_KEY)


def _tag(number: int, kind: int) -> bytes:
    """Of two bytes: number below 2048."""
    value = number << 3 | kind
    return bytes([value & 127 | 128, value >> 7])


# ---- bounds


READERS = {"operators": check_operators, "weights": list_external_files}


def many_nodes(n: int, *, in_functions: bool) -> bytes:
    """A model with n nodes of four fields each; in functions of three nodes each, or in its graph."""
    nodes = [helper.make_node("Add", ["a", "b"], ["c"]) for _ in range(n)]
    opset = [helper.make_opsetid("", 18)]
    graph = helper.make_graph([] if in_functions else nodes, "g", [], [])
    model = helper.make_model(graph)
    for i in range(0, n if in_functions else 0, 3):
        model.functions.append(helper.make_function("mine", f"f{i}", [], ["c"], nodes[i : i + 3], opset))
    return model.SerializeToString()


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("in_functions", [False, True], ids=["graph", "functions"])
def test_fields_are_counted_over_all_messages(monkeypatch, reader, in_functions):
    """Each message has less than 30, and all of them have more than 100."""
    data = io.BytesIO(many_nodes(24, in_functions=in_functions))
    monkeypatch.setattr(protobuf, "MAX_GRAPH_FIELDS", 200)
    READERS[reader](data)
    monkeypatch.setattr(protobuf, "MAX_GRAPH_FIELDS", 30)
    with pytest.raises(ValueError, match="it has too many parts"):
        READERS[reader](data)


def test_check_operators_rejects_endless_nesting():
    graph = helper.make_graph([], "deepest", [], [])
    for _ in range(30):
        graph = helper.make_graph([helper.make_node("If", ["x"], ["y"], then_branch=graph)], "more", [], [])
    with pytest.raises(ValueError, match="nests too deep"):
        check_operators(io.BytesIO(helper.make_model(graph).SerializeToString()))


def test_metadata_has_so_many_parts_and_so_long_ones(monkeypatch):
    model = toy_graph()
    helper.set_model_props(model, {CARD_KEY: "c" * 1000, **{str(i): "x" for i in range(20)}})
    data = io.BytesIO(model.SerializeToString())
    assert read_metadata(data, CARD_KEY) == "c" * 1000
    with monkeypatch.context() as patch:
        patch.setattr(protobuf, "MAX_FIELDS", 15)
        with pytest.raises(ValueError, match="it has too many parts"):
            read_metadata(data, CARD_KEY)
    monkeypatch.setattr(protobuf, "MAX_ENTRY_BYTES", 999)
    with pytest.raises(ValueError, match="an entry of its metadata is too long"):
        read_metadata(data, CARD_KEY)


def test_names_are_read_no_further_than_they_are_compared(monkeypatch):
    asked = []

    class Watched(io.BytesIO):
        def read(self, n=-1):
            asked.append(n)
            return super().read(n)

    graph = helper.make_graph([helper.make_node("Op" * 5_000, ["a"], ["b"])], "g", [], [])
    monkeypatch.setattr(protobuf, "MAX_NAME_BYTES", 100)
    check_operators(Watched(helper.make_model(graph).SerializeToString()))
    assert 0 <= min(asked) <= max(asked) == 100
