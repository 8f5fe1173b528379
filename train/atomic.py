"""Results are written as photosearch/atomic.py writes files: whole or not at all, in a folder that is made for them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from photosearch import atomic


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path that replaces `path` when the block succeeds; otherwise an older file stays as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.write_file(path) as temporary:
        yield temporary


def write_json(path: Path, value: object, *, sort_keys: bool = False) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=1, sort_keys=sort_keys) + "\n", encoding="utf-8")
