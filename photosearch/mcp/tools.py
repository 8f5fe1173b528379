"""The tools: each asks the library once and gives text, and pictures where they are asked for."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from photosearch import LARGE_THUMBNAIL, SMALL_THUMBNAIL, Unreadable
from photosearch.errors import InputError
from photosearch.mcp import arguments
from photosearch.mcp.arguments import Arguments

if TYPE_CHECKING:
    from photosearch import Answer, FileDetails, Library, Thumbnails

MAX_LABELS = 30  # of a photo, those with the highest scores
SIDES = {"small": SMALL_THUMBNAIL, "large": LARGE_THUMBNAIL}

Part = str | bytes  # a text, or a picture as a JPEG


@dataclass(frozen=True, slots=True)
class Tool:
    """answer: (the library, its thumbnails, the arguments) -> the parts of the answer. Raises PhotosearchError."""

    description: str
    arguments: type[Arguments]
    answer: "Callable[[Library, Thumbnails, Any], Iterator[Part]]"


def find(library: "Library", thumbnails: "Thumbnails", asked: arguments.Find) -> Iterator[Part]:
    _check_folder(library, asked.under)
    answer = library.find(
        asked.words, limit=asked.limit, since=asked.since, until=asked.until, under=asked.under,
        sure_only=asked.sure_only, sort=asked.sort,
    )  # fmt: skip
    yield from _show_answer(library, thumbnails, answer, asked.images)


def similar(library: "Library", thumbnails: "Thumbnails", asked: arguments.Similar) -> Iterator[Part]:
    path = _find_file(library, asked.path)[1][0]
    answer = library.find("", like=[path], limit=asked.limit)
    yield from _show_answer(library, thumbnails, answer, asked.images)


def explain(library: "Library", _: "Thumbnails", asked: arguments.Explain) -> Iterator[Part]:
    yield _to_text(library.explain(asked.words))


def show_photo(library: "Library", thumbnails: "Thumbnails", asked: arguments.Photo) -> Iterator[Part]:
    image_id, paths, content_hash = _find_file(library, asked.path)
    details = library.details(image_id)
    assert details is not None
    missing = library.find_missing(paths)
    yield _to_text({
        "files": [{"path": file.path, "size_bytes": file.size_bytes, "exists": file.path not in missing,
                   **_to_facts(file.details)} for file in details.files],
        "width": details.width, "height": details.height, "taken": details.taken, "taken_from": details.taken_from,
        "labels": [asdict(score) for score in details.scores[:MAX_LABELS]], "marks": dict(details.marks),
    })  # fmt: skip
    if asked.image != "none":
        yield _read_picture(thumbnails, paths, content_hash, SIDES[asked.image])


def list_duplicates(library: "Library", _: "Thumbnails", asked: arguments.Duplicates) -> Iterator[Part]:
    _check_folder(library, asked.under)
    groups = library.find_duplicates(near=not asked.exact, under=asked.under)
    yield _to_text({
        "groups": len(groups), "spare_bytes": sum(group.spare_bytes for group in groups),
        "shown": [[{"path": m.photo.path, "how": m.how, "size_bytes": m.photo.size_bytes, "width": m.photo.width,
                    "height": m.photo.height} for m in group.members] for group in groups[: asked.limit]],
    })  # fmt: skip


def show_albums(library: "Library", thumbnails: "Thumbnails", asked: arguments.Albums) -> Iterator[Part]:
    if asked.name is None:
        if asked.images:
            raise InputError("images: name an album to see its photos")
        yield _to_text({"albums": [album.to_json() for album in library.albums.list()]})
    else:
        answer = library.albums.photos(asked.name, limit=asked.limit)
        yield from _show_answer(library, thumbnails, answer, asked.images)


def report(library: "Library", _: "Thumbnails", asked: arguments.Report) -> Iterator[Part]:
    _check_folder(library, asked.under)
    yield _to_text(library.report(asked.label, under=asked.under).to_json())


TOOLS: Mapping[str, Tool] = {
    "find": Tool(
        "Find photos in the user's own library by labels, descriptions, places, dates and other filters. "
        "Photos with sure = false only come near.", arguments.Find, find,
    ),
    "explain": Tool("How find reads words, without a search.", arguments.Explain, explain),
    "photo": Tool(
        "What is known of one photo: its files, date, place, camera, people, labels with scores, the user's marks; "
        "and the picture itself, if asked.", arguments.Photo, show_photo,
    ),
    "similar": Tool("Photos that look like one of the library.", arguments.Similar, similar),
    "duplicates": Tool(
        "Groups of photos that are copies; the first of each is the one to keep.", arguments.Duplicates,
        list_duplicates,
    ),
    "albums": Tool(
        "The user's albums and saved searches, or the photos of one. A saved search is asked anew each time.",
        arguments.Albums, show_albums,
    ),
    "report": Tool("How right a label is on the photos that the user marked.", arguments.Report, report),
}  # fmt: skip


def call(library: "Library", thumbnails: "Thumbnails", name: str, given: dict[str, Any]) -> list[Part]:
    """The answer of a tool. Raises PhotosearchError, in one line."""
    tool = TOOLS.get(name)
    if tool is None:
        raise InputError(f"{name[:80]}: no such tool; there are {', '.join(TOOLS)}, and none of them changes anything")
    return list(tool.answer(library, thumbnails, arguments.parse(tool.arguments, given)))


def _check_folder(library: "Library", folder: str | None) -> None:
    inside = folder is not None and os.path.isabs(folder) and "\0" not in folder
    if folder is not None and not (inside and library.folders.count_photos(folder)):
        raise InputError(f"{folder[:200]}: not a folder of the library")


def _find_file(library: "Library", path: str) -> tuple[int, list[str], bytes]:
    """(image id, paths of the photos that show it, the typed one first, its hash). Raises InputError."""
    image_id = library.find_image(path) if os.path.isabs(path) and "\0" not in path else None
    files = None if image_id is None else library.find_files(image_id)
    if image_id is None or files is None:
        raise InputError(f"{path[:200]}: not a photo of the library; only those are shown")
    content_hash, paths = files
    return image_id, sorted(paths, key=lambda other: other != path), content_hash


def _show_answer(library: "Library", thumbnails: "Thumbnails", answer: "Answer", images: int) -> Iterator[Part]:
    missing = library.find_missing([photo.path for photo in answer.photos])
    rows = [
        {"path": photo.path, **({} if photo.score is None else {photo.by: round(photo.score, 4)}), "sure": photo.sure,
         "taken": photo.taken or None, "copies": photo.copies, "exists": photo.path not in missing,
         **_to_facts(details)}
        for photo, details in zip(answer.photos, library.describe(answer.photos), strict=True)
    ]  # fmt: skip
    yield _to_text({"question": answer.question, "sure": answer.sure, "more": answer.more,
                    "hints": list(answer.hints), "photos": rows})  # fmt: skip
    for photo in answer.photos[:images]:
        files = library.find_files(photo.image_id)
        if files is not None:
            yield f"{photo.path}:"
            yield _read_picture(thumbnails, [photo.path, *files[1]], files[0], SMALL_THUMBNAIL)


def _read_picture(thumbnails: "Thumbnails", paths: Sequence[str], content_hash: bytes, side: int) -> Part:
    try:
        return thumbnails.read(paths, content_hash, side)
    except Unreadable as error:
        return f"the picture can't be read: {error.reason}"


def _to_facts(details: "FileDetails | None") -> dict[str, object]:
    """What a photo's file says, without what it does not say."""
    facts = {} if details is None else details.to_json()
    return {key: value for key, value in facts.items() if value not in (None, (), [])}


def _to_text(answer: object) -> str:
    return json.dumps(answer)
