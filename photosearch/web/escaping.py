"""Names of files as text that neither a terminal nor a page obeys: control and direction characters become escapes."""

import re

# Control characters, direction marks, line and paragraph separators, bytes of a name that are not UTF-8.
HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def escape(text: str) -> str:
    """U+202E -> \\u202e, a byte that is not UTF-8 -> \\xff; the ends of lines stay."""
    return HARMFUL.sub(lambda found: found[0] if found[0] == "\n" else escape_character(found[0]), text)


def escape_character(character: str) -> str:
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{number - 0xDC00:02x}"
    return SHORT.get(character) or (f"\\x{number:02x}" if number < 0x80 else f"\\u{number:04x}")
