"""Another program asks: the SDK's own client, over a real process's stdin and stdout."""

import asyncio
import base64
import hashlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from cli_env import list_words
from embedding_library import open_filled
from PIL import Image
from test_hostile import snapshot

HAS_MCP = getattr(find_spec("mcp"), "origin", None) is not None  # this folder has that name too, and no origin
pytestmark = pytest.mark.skipif(not HAS_MCP, reason="needs mcp")

RED, GREEN, BLUE, WINE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 0, 0)
TEN_MEGABYTES = 10_000_000
QUESTIONS = {  # name -> a tool and its arguments; PHOTOS stands for the folder
    "find": ("find", {"words": "red", "images": 1}),
    "find none": ("find", {}),
    "two colours": ("find", {"words": "red or blue"}),
    "two colours, newest first": ("find", {"words": "red or blue", "sort": "date"}),
    "explain": ("explain", {"words": "red and not blue"}),
    "photo": ("photo", {"path": "PHOTOS/red.png", "image": "large"}),
    "photo without picture": ("photo", {"path": "PHOTOS/red.png"}),
    "similar": ("similar", {"path": "PHOTOS/red.png", "limit": 2}),
    "duplicates": ("duplicates", {"exact": True}),
    "report": ("report", {"label": "red"}),
    "albums": ("albums", {}),
    "album": ("albums", {"name": "warm", "limit": 1, "images": 1}),
    "saved search": ("albums", {"name": "Reds"}),
    "no album": ("albums", {"name": "nothing"}),
    "pictures of all albums": ("albums", {"images": 1}),
    "outside": ("photo", {"path": "PHOTOS/../outside.png", "image": "small"}),
    "outside by a link": ("photo", {"path": "PHOTOS/link.png", "image": "small"}),
    "like outside": ("similar", {"path": "PHOTOS/../outside.png"}),
    "relative": ("photo", {"path": "red.png"}),
    "two lines": ("photo", {"path": "/two\nlines.png"}),
    "NUL": ("photo", {"path": "PHOTOS/red.png\0"}),
    "under outside": ("find", {"words": "red", "under": "PHOTOS/.."}),
    "under relative": ("find", {"words": "red", "under": "."}),
    "copies outside": ("duplicates", {"under": "PHOTOS/.."}),
    "long": ("find", {"words": "x" * TEN_MEGABYTES}),
    "many": ("find", {"limit": 1_000_000}),
    "write": ("mark", {"path": "PHOTOS/red.png", "label": "red"}),
    "unknown argument": ("find", {"words": "red", "copy_to": "/tmp/album"}),
    "bad question": ("find", {"words": '"red'}),
}


@dataclass(frozen=True)
class Asked:
    """What one client was told: the tools, and an answer to each question."""

    photos: Path
    library: Path
    tools: list[Any]
    answers: dict[str, Any]
    changed: list[str]

    def text(self, name: str) -> str:
        return str(self.answers[name].content[0].text)

    def json(self, name: str) -> Any:
        assert not self.answers[name].is_error, self.text(name)
        return json.loads(self.text(name))

    def names(self, name: str) -> list[str]:
        return [os.path.basename(photo["path"]) for photo in self.json(name)["photos"]]

    def error(self, name: str) -> str:
        assert self.answers[name].is_error, self.text(name)[:200]
        (line,) = self.text(name).splitlines()
        return line.replace(str(self.photos), "PHOTOS")

    def pictures(self, name: str) -> list[Image.Image]:
        content = self.answers[name].content
        data = [base64.b64decode(part.data) for part in content if part.type == "image"]
        return [Image.open(io.BytesIO(picture)) for picture in data]


@asynccontextmanager
async def open_session(library: Path, folder: Path) -> AsyncIterator[Any]:
    """A client of a server that runs in a folder."""
    from mcp import ClientSession
    from mcp.client.stdio import StdioServerParameters, stdio_client

    command, *words = list_words(("mcp", "--db", library))
    server = StdioServerParameters(command=command, args=words, env=dict(os.environ), cwd=folder)
    errors = sys.__stderr__  # its default is what stands in for it while the module is imported
    async with stdio_client(server, errors) as (messages, questions), ClientSession(messages, questions) as session:
        await session.initialize()
        yield session


async def ask_all(library: Path, photos: Path) -> tuple[list[Any], dict[str, Any]]:
    async with open_session(library, photos) as session:  # in their folder: a relative path would lead to them
        tools = (await session.list_tools()).tools
        answers = {}
        for name, (tool, given) in QUESTIONS.items():
            own = {key: v.replace("PHOTOS", str(photos)) if isinstance(v, str) else v for key, v in given.items()}
            answers[name] = await session.call_tool(tool, own)
        return tools, answers


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("mcp")
    with open_filled(folder, {"red": RED, "wine": WINE, "green": GREEN, "blue": BLUE}) as seen:
        for second, name in enumerate(("green", "wine", "blue", "red")):
            os.utime(seen.folder / f"{name}.png", (second + 1, second + 1))
        seen.index()
        seen.asks.marks.add(seen.folder / "red.png", positive=["red"])
        seen.asks.albums.add("Warm", [seen.folder / "red.png", seen.folder / "wine.png"])
        seen.asks.albums.save_search("Reds", "red", query_mode="label")
        library = seen.under.db.path
        Image.new("RGB", (9, 9), RED).save(seen.folder.parent / "outside.png")
        (seen.folder / "link.png").symlink_to(seen.folder.parent / "outside.png")
        before = hashlib.sha256(library.read_bytes()).hexdigest(), snapshot(seen.folder)
        tools, answers = asyncio.run(ask_all(library, seen.folder))
        after = hashlib.sha256(library.read_bytes()).hexdigest(), snapshot(seen.folder)
        changed = [name for name, a, b in zip(("library", "photos"), before, after, strict=True) if a != b]
        yield Asked(seen.folder, library, tools, answers, changed)


def test_client_lists_tools_that_only_read(asked: Asked) -> None:
    names = [tool.name for tool in asked.tools]
    assert names == ["find", "explain", "photo", "similar", "duplicates", "albums", "report"]
    assert all(tool.annotations.read_only_hint and tool.description for tool in asked.tools)
    assert not any(tool.annotations.destructive_hint or tool.annotations.open_world_hint for tool in asked.tools)
    assert all(tool.input_schema["additionalProperties"] is False for tool in asked.tools)
    assert asked.changed == []


def test_find_answers_with_photos_and_a_picture_where_asked(asked: Asked) -> None:
    assert asked.names("find")[0] == "red.png"
    (first, *_) = asked.json("find")["photos"]
    assert (first["sure"], first["exists"], first["label"]) == (True, True, 1.0)
    (picture,) = asked.pictures("find")
    assert picture.getpixel((5, 5))[0] > 240
    assert sorted(asked.names("find none")) == ["blue.png", "green.png", "red.png", "wine.png"]
    assert asked.pictures("find none") == []
    assert asked.names("two colours")[:2] == ["blue.png", "red.png"]
    assert asked.names("two colours, newest first")[:2] == ["red.png", "blue.png"]


def test_photo_is_described_and_shown_only_where_asked(asked: Asked) -> None:
    told = asked.json("photo")
    assert [file["path"] for file in told["files"]] == [str(asked.photos / "red.png")]
    assert (told["width"], told["height"], told["marks"]) == (16, 16, {"red": True})
    assert {row["label"]: row["score"] for row in told["labels"]}["red"] == 1.0
    assert [picture.size for picture in asked.pictures("photo")] == [(16, 16)]
    assert asked.json("photo without picture") == told
    assert asked.pictures("photo without picture") == []


def test_similar_explain_duplicates_and_report(asked: Asked) -> None:
    assert "wine.png" in asked.names("similar")
    explained = asked.json("explain")
    assert (explained["labels"], explained["not_labels"]) == (["red"], ["blue"])
    assert asked.json("duplicates") == {"groups": 0, "spare_bytes": 0, "shown": []}
    assert (asked.json("report")["label"], asked.json("report")["tp"]) == ("red", 1)


def test_albums_are_listed_and_one_is_shown(asked: Asked) -> None:
    listed = asked.json("albums")["albums"]
    assert [(row["name"], row["photos"], row["search"]) for row in listed] == [
        ("Reds", None, "red --label"), ("Warm", 2, None)
    ]  # fmt: skip
    shown = asked.json("album")
    assert (asked.names("album"), shown["more"], len(asked.pictures("album"))) == (["red.png"], True, 1)
    assert asked.names("saved search") == ["red.png", "wine.png"]


NOT_THERE = "not a photo of the library; only those are shown"


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("outside", f"PHOTOS/../outside.png: {NOT_THERE}"),
        ("outside by a link", f"PHOTOS/link.png: {NOT_THERE}"),
        ("like outside", f"PHOTOS/../outside.png: {NOT_THERE}"),
        ("relative", f"red.png: {NOT_THERE}"),
        ("two lines", f"/two\\nlines.png: {NOT_THERE}"),
        ("NUL", f"PHOTOS/red.png\\x00: {NOT_THERE}"),
        ("under outside", "PHOTOS/..: not a folder of the library"),
        ("under relative", ".: not a folder of the library"),
        ("copies outside", "PHOTOS/..: not a folder of the library"),
        ("long", "words: String should have at most 500 characters"),
        ("many", "limit: Input should be less than or equal to 100"),
        ("write", "mark: no such tool; there are find, explain, photo, similar, duplicates, albums, report, and "
                  "none of them changes anything"),
        ("no album", "no album 'nothing'; there are: Reds, Warm"),
        ("pictures of all albums", "images: name an album to see its photos"),
        ("unknown argument", "copy_to: Extra inputs are not permitted"),
        ("bad question", "a quote is opened and not closed"),
    ],
)  # fmt: skip
def test_refusal_is_one_line(asked: Asked, question: str, line: str) -> None:
    assert asked.error(question) == line


@pytest.mark.slow
def test_library_that_was_rebuilt_is_not_answered_from(asked: Asked, tmp_path: Path) -> None:
    """Its ids are others now."""
    library = tmp_path / "library.db"
    shutil.copy(asked.library, library)

    async def ask_before_and_after() -> list[Any]:
        async with open_session(library, tmp_path) as session:
            before = await session.call_tool("find", {})
            shutil.copy(asked.library, tmp_path / "new.db")
            (tmp_path / "new.db").replace(library)
            return [before, await session.call_tool("find", {})]

    before, after = asyncio.run(ask_before_and_after())
    assert (before.is_error, after.is_error) == (False, True)
    assert after.content[0].text == f"{library}: was rebuilt, emptied or moved; start photosearch mcp again"


def test_path_that_is_not_utf_8_is_escaped() -> None:
    from photosearch.mcp.server import _to_content

    assert _to_content(os.fsdecode(b'{"path": "/r\xff.png"}')).text == '{"path": "/r\\udcff.png"}'


@pytest.mark.slow
def test_server_ends_with_its_input_and_opens_no_library_that_is_missing(tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    done = subprocess.run(list_words(("mcp", "--db", missing)), input="", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, missing.exists()) == (1, "", False)
    assert done.stderr == f"photosearch: {missing}: no library here yet; make one with `photosearch index FOLDER`\n"


def test_missing_sdk_is_named(tmp_path: Path) -> None:
    code = "import sys; sys.modules['mcp'] = None; from photosearch.cli.app import main; main()"
    done = subprocess.run([sys.executable, "-P", "-c", code, "mcp"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "photosearch: this needs the MCP SDK: pip install 'photosearch[mcp]'\n"


def test_older_library_is_not_upgraded(asked: Asked, tmp_path: Path) -> None:
    from photosearch import Library
    from photosearch.errors import StoreError

    path = tmp_path / "older.db"
    Library(path).close()
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA user_version = 1")
    with pytest.raises(StoreError, match="written by an older photosearch; upgrade it once"):
        Library(path, read_only=True)
