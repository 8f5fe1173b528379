"""The pages on a library with overwritten pages, and on one that is rebuilt while they are open."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from http_client import run_server
from user_library import make_folder, overwrite_pages, put_library

from photosearch import Library, rebuild_library
from photosearch.library.database import DAMAGED

READS = (
    "find?words=red", "find?words=black+night", "find?words=red&query_mode=text", "labels", "folders",
    "details?image_id=1&label=red", "queue?label=red&kind=near", "queue?label=red&kind=sample", "report?label=red",
    "duplicates", "unreadable", "status", "complete?words=re",
)  # fmt: skip
CHANGES: tuple[tuple[str, dict[str, object]], ...] = (
    ("mark", {"image_id": 1, "label": "red", "present": True}), ("undo", {"step": 1}),
    ("sample", {"label": "red", "n": 4}), ("threshold", {"label": "red", "threshold": 0.4}),
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHOTOSEARCH_MODELS", str(folder))
        make_folder(folder)
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("tree", ["scores", "images", "vectors", "marks"])
def test_page_on_a_damaged_library_names_rebuild(tmp_path: Path, folder: Path, tree: str) -> None:
    library = put_library(tmp_path / "library", overwrite_pages(folder, tree))
    statuses = Counter[int]()
    with run_server(library) as client:
        responses = [client.send("GET", f"/api/{target}") for target in READS]
        for action, body in CHANGES:
            responses.append(client.send("POST", f"/api/{action}", body=json.dumps(body).encode()))
        for response in responses:
            statuses[response.status] += 1
            undone = response.status == 400 and "undone elsewhere" in response.error  # there is no such step
            assert response.status == 200 or undone or response.error == f"{library}: {DAMAGED}"
    assert statuses[400] > 0
    assert set(statuses) <= {200, 400}


@pytest.mark.slow
@pytest.mark.parametrize("change", ["rebuild", "forget"])
def test_page_that_was_open_before_is_refused(tmp_path: Path, folder: Path, change: str) -> None:
    library = put_library(tmp_path / "library", (folder / "whole.db").read_bytes())
    with run_server(library) as client:
        client.post_json("mark", image_id=1, label="red", present=True)
        if change == "rebuild":
            aside = rebuild_library(library, force=True).aside
            assert aside is not None
        else:
            with Library(library) as other:
                other.forget(None)
                list(other.index(folder / "photos", models=["toy"], workers=1, provider="cpu"))
        refused = client.post_error("mark", image_id=1, label="red", present=False)
        assert refused == (
            f"{library}: was rebuilt, replaced or emptied meanwhile; nothing was written; end `photosearch browse` and "
            "start it again"
        )
        for action, body in CHANGES:
            assert client.post_error(action, **body) == refused
        assert client.get_error("find?words=red") == refused
    with closing(sqlite3.connect(library)) as conn:
        kept = conn.execute("SELECT present FROM marks WHERE image_id = 1 AND label = 'red'").fetchall()
    assert kept == ([(1,)] if change == "rebuild" else [])
