"""Find the photos you describe, in your own folders, on your own machine.

    from photosearch import Library

    with Library("library.db") as library:
        for event in library.index("/home/me/Pictures"):
            print(event)
        for photo in library.find("bird and not dog", limit=20):
            print(photo.score, photo.path)

The command line and the page use only what this module exports; docs/python.md documents it. Every name is imported
when it is first used, so that `import photosearch` takes a few milliseconds.
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from photosearch.album import AlbumResult
    from photosearch.api.library import Library, default_path
    from photosearch.api.tools import (
        add_model,
        check_installation,
        check_rebuild,
        describe_providers,
        list_backups,
        list_model_offers,
        list_models,
        pull_model,
        read_model_card,
        rebuild_library,
        remove_model,
    )

__version__ = "0.1.0"

__all__ = [
    "AlbumResult", "Library", "__version__", "add_model", "check_installation", "check_rebuild", "default_path",
    "describe_providers", "list_backups", "list_model_offers", "list_models", "pull_model", "read_model_card",
    "rebuild_library", "remove_model",
]  # fmt: skip

_MODULES = {"AlbumResult": "album", "Library": "api.library", "default_path": "api.library"}  # all others: api.tools

# From version 1.29 on, ONNX Runtime reports each session on Linux to its maker: it keeps a number for this machine
# under ~/.cache and opens connections. It reads this variable when it is imported; for Windows see models/session.py.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


def __getattr__(name: str) -> Any:
    """Import an exported name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'photosearch' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"photosearch.{_MODULES.get(name, 'api.tools')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
