"""The API for learning labels from marks: how far a label is, what learning would change, learning and its undo."""

from dataclasses import dataclass

from starlette.datastructures import QueryParams

from photosearch import Library
from photosearch.web.responses import Learned, LearningPreview, make_learning_preview
from photosearch.web.state import ServerState

PREVIEW_PHOTOS = 12  # each way


@dataclass(frozen=True, slots=True)
class LearnRequest:
    label: str


def read_readiness(_: ServerState, library: Library, query: QueryParams) -> dict[str, object]:
    """Parameter: label, which may be new."""
    return library.labels.check_readiness(query.get("label", "")).to_json()


def preview(_: ServerState, library: Library, query: QueryParams) -> LearningPreview:
    """Parameter: label."""
    return make_learning_preview(library.labels.preview_learning(query.get("label", ""), limit=PREVIEW_PHOTOS))


def learn(_: ServerState, library: Library, request: LearnRequest) -> Learned:
    done = library.labels.learn(request.label)
    return Learned(done.label.name, done.kept == "learned", True)


def undo_learning(_: ServerState, library: Library, request: LearnRequest) -> Learned:
    left = library.labels.undo_learning(request.label)
    return Learned(request.label if left is None else left.name, False, left is not None)
