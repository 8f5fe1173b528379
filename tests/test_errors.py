"""Other libraries' messages, as one line of ours."""

import pytest

from photosearch.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("bad\nand more"), "bad"),
        (RuntimeError("\n  indented, after an empty line\n"), "indented, after an empty line"),
        (KeyError(), "KeyError"),
        (OSError(" \n "), "OSError"),
        (ValueError("x" * 1000), "x" * 300),
    ],
)
def test_first_line_is_short_and_never_empty(error, line):
    assert first_line(error) == line
