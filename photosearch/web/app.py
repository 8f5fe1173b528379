"""A page to work in: routes, each of which asks one function of Library and hands on what it says, as JSON.

A photo is named by the id of its picture, a folder by a hash of its path, a result by its place in an answer that is
kept here: no path ever comes from the browser. What changes something is a POST (see door.py). What the page asks of a
library is asked by threads, each with a connection of its own, so that an index may write meanwhile.
"""

import contextlib
import json
import os
import queue
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2s
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from photosearch import Library, album
from photosearch.errors import InputError, PhotosearchError
from photosearch.judging.review_queue import KINDS
from photosearch.photos.decode import Unreadable
from photosearch.photos.thumbnails import LARGE, SMALL, Thumbnails
from photosearch.search.duplicates import Group
from photosearch.web.rendering import render
from photosearch.web.results import Result, Results

LIBRARIES = 4  # connections at once; a browser asks six things of one server at most
MAX_BODY_BYTES = 1 << 20  # bytes that a browser may send: the places of 100,000 photos that were chosen
PAGE = 500  # photos in one part of an answer, at most
UNDONE = 1000  # marks that can be taken back, one after the other
MAX_SIDE = 2**63  # the first integer that SQLite does not hold
MAX_LABELS = 24  # of a picture, that are told
KINDS_OF_PAGE = {"search.html": "/", "judge.html": "/judge", "duplicates.html": "/duplicates",
                 "unreadable.html": "/unreadable"}  # fmt: skip
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

Asked = Callable[[Library, QueryParams], Any]
Changed = Callable[[Library, Mapping[str, Any]], Any]


class Json(Response):
    """JSON in ASCII: a name that is no UTF-8 goes through it, as a lone surrogate."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


class LibraryPool:
    """Connections to one library, each lent to one thread at a time."""

    def __init__(self, path: Path, most: int = LIBRARIES):
        self._path, self._left = path, threading.Semaphore(most)
        self._idle: queue.SimpleQueue[Library] = queue.SimpleQueue()

    @contextlib.contextmanager
    def lend(self) -> Iterator[Library]:
        with self._left:
            try:
                library = self._idle.get_nowait()
            except queue.Empty:
                library = Library(self._path, create=False)
            try:
                yield library
            finally:
                self._idle.put(library)

    def close(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()


@dataclass(frozen=True, slots=True)
class MarkStep:
    """What was said of a picture before it was said otherwise."""

    image_id: int
    label: str
    before: bool | None


class Browse:
    """The state of one server: connections, answers that are kept, marks that can be undone. Close it."""

    def __init__(self, path: Path, thumbnails: Thumbnails, albums: Path):
        """path: the library's. albums: the folder in which albums are made."""
        self.libraries, self.thumbnails, self.albums = LibraryPool(path), thumbnails, albums
        self.results = Results()
        self.marks: deque[MarkStep] = deque(maxlen=UNDONE)
        self.groups: list[Group] = []
        self.static = {
            entry.name: (entry.read_bytes(), TYPES[os.path.splitext(entry.name)[1]])
            for entry in files("photosearch.web").joinpath("static").iterdir()
        }

    def close(self) -> None:
        self.libraries.close()
        self.thumbnails.close()

    def app(self) -> Starlette:
        asked: dict[str, Asked] = {
            "find": self.find, "results": self.read_result, "total": self.count_result, "complete": self.complete,
            "labels": self.list_labels, "folders": self.list_folders, "picture": self.describe_picture,
            "queue": self.list_next, "report": self.report, "duplicates": self.list_duplicates,
            "unreadable": self.list_unreadable, "status": self.tell_status,
        }  # fmt: skip
        changed: dict[str, Changed] = {
            "mark": self.mark, "undo": self.undo, "sample": self.draw_sample, "threshold": self.save_threshold,
            "album": self.make_album,
        }  # fmt: skip
        return Starlette(
            routes=[
                *(Route(f"/api/{name}", self._ask(do), methods=["GET"]) for name, do in asked.items()),
                *(Route(f"/api/{name}", self._change(do), methods=["POST"]) for name, do in changed.items()),
                *(Route(path, self._page(name)) for name, path in KINDS_OF_PAGE.items()),
                Route("/thumbnails/{image_id:int}", self.send_thumbnail),
                Route("/static/{name}", self.send_static),
            ],
            exception_handlers={PhotosearchError: _tell_error, Unreadable: _tell_unreadable},
        )

    # ---- from requests to functions and back

    def _ask(self, do: Asked) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            with self.libraries.lend() as library:
                return Json(do(library, request.query_params))

        return endpoint

    def _change(self, do: Changed) -> Callable[[Request], Any]:
        def change(said: Mapping[str, Any]) -> Response:
            with self.libraries.lend() as library:
                return Json(do(library, said))

        async def endpoint(request: Request) -> Response:
            return await run_in_threadpool(change, await _read_json(request))

        return endpoint

    def _page(self, name: str) -> Callable[[Request], Response]:
        pages = [(path, title) for path, title in zip(KINDS_OF_PAGE.values(), TITLES, strict=True)]

        def endpoint(request: Request) -> Response:
            return HTMLResponse(
                render(name, pages=pages, here=KINDS_OF_PAGE[name], albums=str(self.albums), kinds=KINDS)
            )

        return endpoint

    def send_static(self, request: Request) -> Response:
        if request.path_params["name"] not in self.static:
            return PlainTextResponse("Not here.", 404)
        data, kind = self.static[request.path_params["name"]]
        return Response(data, media_type=kind, headers={"Cache-Control": "no-cache"})

    def send_thumbnail(self, request: Request) -> Response:
        side = LARGE if request.query_params.get("size") == "large" else SMALL
        image_id = request.path_params["image_id"]
        with self.libraries.lend() as library:
            known = library.find_files(image_id) if image_id < MAX_SIDE else None
        if known is None:
            return PlainTextResponse("No photo in the library shows it.", 404)
        data = self.thumbnails.read(known[1], known[0], side)  # with no connection held: this may take a second
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    # ---- asking

    def find(self, library: Library, asked: QueryParams) -> dict[str, Any]:
        question = self._read_question(library, asked)
        name, result = self.results.ask(library, question)
        answer, label = result.answer, asked.get("label") or next(iter(result.answer.labels), None)
        return {
            "result": name, "asked": answer.asked, "by": answer.by, "models": answer.models, "labels": answer.labels,
            "similar": answer.similar, "explained": answer.explained, "label": label,
            "total": len(result.found) if result.whole else None, "rows": _rows(library, result, 0, PAGE, label),
        }  # fmt: skip

    def _read_question(self, library: Library, asked: QueryParams) -> dict[str, Any]:
        """The browser's words as Library.find takes them. Raises InputError."""
        question: dict[str, Any] = {"words": asked.get("words", ""), "file_dates": "file_dates" in asked}
        question |= {key: asked[key] for key in ("since", "until") if asked.get(key)}
        question |= {key: _number(asked[key]) for key in ("min_score", "min_similarity") if asked.get(key)}
        if asked.get("reading") in ("label", "text"):
            question["query_mode"] = asked["reading"]
        if asked.get("sort") == "date":
            question["sort"] = "date"
        if asked.get("under"):
            question["under"] = self._find_folder(library, asked["under"])
        for how in ("like", "unlike"):
            if ids := asked.getlist(how):
                question[how] = [_path_of(library, _integer(image_id)) for image_id in ids]
        return question

    def read_result(self, library: Library, asked: QueryParams) -> dict[str, Any]:
        result, first = self._get_result(asked), _integer(asked.get("from", "0"))
        n = min(_integer(asked.get("n", "100")), PAGE)
        if first + n > len(result.found):
            result.complete(library)
        return {"from": first, "rows": _rows(library, result, first, n, asked.get("label"))}

    def count_result(self, library: Library, asked: QueryParams) -> dict[str, Any]:
        return {"total": len(self._get_result(asked).complete(library).found)}

    def _get_result(self, asked: Mapping[str, Any]) -> Result:
        result = self.results.get(str(asked.get("result")))
        if result is None:
            raise InputError("this answer is no longer kept; ask again")
        return result

    def complete(self, library: Library, asked: QueryParams) -> list[str]:
        return library.complete(asked.get("words", ""))

    def list_labels(self, library: Library, _: QueryParams) -> list[dict[str, Any]]:
        own = library.models.default
        return [
            {"label": x.name, "model": x.model, "threshold": x.threshold, "saved": x.saved, "answers": x.model == own}
            for x in library.labels.list()
        ]

    def list_folders(self, library: Library, _: QueryParams) -> list[dict[str, str]]:
        return [{"id": _folder_id(path), "path": path} for path in library.folders.list_paths()]

    def _find_folder(self, library: Library, folder_id: str) -> str:
        for path in library.folders.list_paths():
            if _folder_id(path) == folder_id:
                return path
        raise InputError("this folder is not in the library any more; load the page anew")

    def describe_picture(self, library: Library, asked: QueryParams) -> dict[str, Any]:
        known = library.details(_integer(asked.get("id", "")))
        if known is None:
            raise InputError("no photo in the library shows this any more; it was removed or forgotten")
        unseen, wanted = library.find_missing(known.paths), set(asked.getlist("label")) | set(known.marks)
        scores = [s for i, s in enumerate(known.scores) if i < MAX_LABELS or s.label in wanted]
        return {
            "image_id": known.image_id, "width": known.width, "height": known.height, "taken": known.taken,
            "taken_from": known.taken_from, "scores": [asdict(s) for s in scores], "said": known.marks,
            "photos": [{**asdict(s), "unseen": unseen.get(s.path)} for s in known.files],
        }  # fmt: skip

    def list_duplicates(self, library: Library, asked: QueryParams) -> dict[str, Any]:
        first = _integer(asked.get("from", "0"))
        if first == 0:
            self.groups = library.find_duplicates(near=asked.get("near") != "no")
        told = [
            [{"image_id": m.photo.image_id, "path": m.photo.path, "how": m.how, "size_bytes": m.photo.size_bytes,
              "width": m.photo.width, "height": m.photo.height} for m in group.members]
            for group in self.groups[first : first + 50]
        ]  # fmt: skip
        return {"total": len(self.groups), "groups": told,
                "spare_bytes": sum(group.spare_bytes for group in self.groups)}  # fmt: skip

    def list_unreadable(self, library: Library, _: QueryParams) -> list[dict[str, str]]:
        return [dict(zip(("path", "reason", "since"), row, strict=True)) for row in library.unreadable()]

    def tell_status(self, library: Library, _: QueryParams) -> dict[str, Any]:
        return {**library.progress().to_json(), "undo": len(self.marks)}

    # ---- judging

    def list_next(self, library: Library, asked: QueryParams) -> dict[str, Any]:
        kind = asked.get("kind", "near")
        found = library.samples.queue(asked.get("label", ""), kind)  # type: ignore[arg-type]  # it refuses what it isn't
        return {
            "label": found.label.name, "model": found.label.model, "threshold": found.label.threshold,
            "kind": found.kind, "other": found.other, "left": found.left, "asked": [asdict(a) for a in found.asked],
        }  # fmt: skip

    def report(self, library: Library, asked: QueryParams) -> dict[str, Any]:
        """What a threshold would do; the label's own where none is given, or where none is marked yet: null."""
        label = library.labels.get(asked.get("label", ""))
        told: dict[str, Any] = {"label": label.name, "model": label.model, "own": label.threshold, "saved": label.saved}
        if not library.marks.list(label.name):
            return {**told, "report": None, "judged": []}
        at = _number(asked["threshold"]) if asked.get("threshold") else None
        compared = library.report(label.name, threshold=at)
        return {**told, "report": {k: v for k, v in compared.told.items() if k != "mistakes"},
                "judged": [(round(j.score, 4), j.present) for j in compared.judged]}  # fmt: skip

    def mark(self, library: Library, said: Mapping[str, Any]) -> dict[str, Any]:
        image_id, present = _integer(said.get("image")), said.get("present")
        if present not in (True, False, None):
            raise InputError("present is true, false or null")
        label, before = library.marks.set_image(image_id, str(said.get("label")), present)
        self.marks.append(MarkStep(image_id, label.name, before))
        return {"image": image_id, "label": label.name, "present": present, "undo": len(self.marks)}

    def undo(self, library: Library, _: Mapping[str, Any]) -> dict[str, Any]:
        try:
            last = self.marks.pop()
        except IndexError:
            raise InputError("there is nothing to undo") from None
        library.marks.restore_image(last.image_id, last.label, last.before)
        return {"image": last.image_id, "label": last.label, "present": last.before, "undo": len(self.marks)}

    def draw_sample(self, library: Library, said: Mapping[str, Any]) -> dict[str, Any]:
        label = library.labels.get(str(said.get("label")))
        # Not the command's 0: who draws again, from a button, wants other photos, so that more of them count together.
        drawn = library.samples.draw(label.name, _integer(said.get("n", 60)), seed=secrets.randbelow(2**31))
        return {"label": label.name, "sample": drawn.id, "photos": len(drawn.photos)}

    def save_threshold(self, library: Library, said: Mapping[str, Any]) -> dict[str, Any]:
        label, threshold = library.labels.get(str(said.get("label"))), said.get("threshold")
        library.labels.set_threshold(label, None if threshold is None else _share(threshold))
        now = library.labels.get(label.name)
        return {"label": now.name, "own": now.threshold, "saved": now.saved}

    # ---- albums

    def make_album(self, library: Library, said: Mapping[str, Any]) -> dict[str, Any]:
        """Of an answer's photos at these places, or of all of them."""
        result = self._get_result(said).complete(library)
        chosen = said.get("places")
        places = range(len(result.found)) if chosen is None else [_integer(place) for place in chosen]
        if not all(0 <= place < len(result.found) for place in places):
            raise InputError("that is not a place in this answer")
        folder = self.albums / check_album_name(str(said.get("name")))
        fill = album.link_to if said.get("how") == "link" else album.copy_to
        filled = fill(folder, [result.found[place].path for place in places])
        return {"folder": str(folder), "made": filled.made, "there": filled.existing, "missing": len(filled.missing)}


TITLES = ("Search", "Judge", "Duplicates", "Unreadable")


def check_album_name(name: str) -> str:
    """A name of one folder that every system takes. Raises InputError."""
    name = name.strip()
    if not name or len(os.fsencode(name)) > 200 or name.startswith(".") or set(name) & set('/\\:*?"<>|') or (
        not name.isprintable()
    ):  # fmt: skip
        raise InputError('give the album a name of its own, without / \\ : * ? " < > | and not hidden')
    return name


def _rows(library: Library, result: Result, first: int, n: int, label: str | None) -> list[dict[str, Any]]:
    found = result.found[first : first + n]
    said = library.marks.read_images(label, [f.image_id for f in found]) if label else {}
    return [
        {"image_id": f.image_id, "name": os.path.basename(f.path), "path": f.path, "score": round(f.score, 4),
         "taken": f.taken, "taken_from": f.taken_from, "present": said.get(f.image_id)}
        for f in found
    ]  # fmt: skip


def _path_of(library: Library, image_id: int) -> str:
    known = library.find_files(image_id)
    if known is None:
        raise InputError("no photo in the library shows this any more; it was removed or forgotten")
    return known[1][0]


def _folder_id(path: str) -> str:
    return blake2s(os.fsencode(path), digest_size=12).hexdigest()


def _integer(value: object) -> int:
    """Raises InputError where it is none that SQLite could hold."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_SIDE:
        return value
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        return int(value)
    raise InputError(f"{value!r} is not a number that was given out here")


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{text!r} is not a number") from None
    if not -1 <= value <= 1:
        raise InputError(f"{text} is not between -1 and 1")
    return value


def _share(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise InputError("a threshold lies between 0 and 1")
    return float(value)


async def _read_json(request: Request) -> Mapping[str, Any]:
    """What a browser sent: an object. Raises InputError."""
    data = b""
    async for part in request.stream():
        data += part
        if len(data) > MAX_BODY_BYTES:
            raise InputError("too much at once")
    try:
        said = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise InputError("send a JSON object")
    return said


def _tell_error(_: Request, error: Exception) -> Response:
    return Json({"error": str(error)}, 400)


def _tell_unreadable(_: Request, error: Exception) -> Response:
    assert isinstance(error, Unreadable)
    return PlainTextResponse(error.reason, 404)
