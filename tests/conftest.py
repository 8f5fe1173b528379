"""What tests share: the folder of the real data sets."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data():
    """data(name) -> the folder of all data sets, or a skip that says why: `name` is a folder that must be in it."""

    def folder(name: str) -> Path:
        root = os.environ.get("PHOTOSEARCH_DATA")
        if not root:
            pytest.skip("set PHOTOSEARCH_DATA to the folder of the data sets")
        if not (Path(root) / name).exists():
            pytest.skip(f"no {name} in {root}")
        return Path(root)

    return folder
