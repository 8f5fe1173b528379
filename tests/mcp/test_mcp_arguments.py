"""What a program may ask of a tool: each text has a longest, each number a least and a most, and nothing else goes."""

import pytest

pytest.importorskip("pydantic")
from photosearch.errors import InputError
from photosearch.mcp import arguments
from photosearch.mcp.arguments import Arguments, parse

KINDS = Arguments.__subclasses__()


def list_bounds(kind: type[Arguments]) -> list[tuple[str, dict[str, object]]]:
    """(name, its JSON Schema) of each argument; of `text or null`, that of the text."""
    found = []
    for name, schema in kind.model_json_schema()["properties"].items():
        options = schema.get("anyOf", [schema])
        found.append((name, next(option for option in options if option.get("type") != "null")))
    return found


def test_every_tool_is_looked_at():
    assert {kind.__name__ for kind in KINDS} == {
        "Find",
        "Explain",
        "Photo",
        "Similar",
        "Duplicates",
        "Report",
        "Albums",
    }
    assert (arguments.MAX_WORDS, arguments.MAX_PATH) == (500, 4096)
    assert (arguments.MAX_PHOTOS, arguments.MAX_IMAGES, arguments.MAX_GROUPS) == (100, 10, 100)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_argument_has_a_bound_that_is_checked(kind):
    needed = {name: "a" for name, field in kind.model_fields.items() if field.is_required()}
    parse(kind, needed)
    assert all(field.description for field in kind.model_fields.values()), "or a program does not know what to give"
    for name, schema in list_bounds(kind):
        if schema.get("enum") or schema["type"] == "boolean":
            wrong = ["another"]
        elif schema["type"] == "string":
            parse(kind, {**needed, name: "a" * schema["maxLength"]})
            wrong = ["a" * (schema["maxLength"] + 1), 5, ["a"]]
        else:
            least, most = schema["minimum"], schema["maximum"]
            parse(kind, {**needed, name: most})
            wrong = [least - 1, most + 1, 2**70, str(least), 1.5, float("nan")]
        for value in wrong:
            with pytest.raises(InputError, match=rf"^{name}: ") as error:
                parse(kind, {**needed, name: value})
            assert len(str(error.value)) < 300
    with pytest.raises(InputError, match=r"^another: "):
        parse(kind, {**needed, "another": 1})
