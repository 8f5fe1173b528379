"""What is read of an .onnx file without ONNX Runtime, compared with onnx's own reader, and for arbitrary bytes."""

import io

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from toy import toy_card, toy_graph

from photosearch.models.card import CARD_KEY
from photosearch.models.protobuf import list_external_files, read_metadata


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
