"""The API of the page "Duplicates": copies, bursts, and spare photos moved to a folder and back.

A move has two steps, as the command has: a plan, which writes nothing and which the user has read, and the move of just
that plan. The folder is typed; the photos are those of a list that the server holds.
"""

from dataclasses import dataclass

from starlette.datastructures import QueryParams

from photosearch import Library
from photosearch.errors import InputError
from photosearch.web.parameters import parse_integer, parse_path
from photosearch.web.responses import (
    Bursts,
    Duplicates,
    LeftRow,
    SpareRow,
    Spares,
    make_burst,
    make_duplicates,
)
from photosearch.web.spare_moves import MAX_NAMED, MoveState
from photosearch.web.state import ServerState

MAX_GROUPS = 50  # in one response
MAX_ROWS = 200  # of a plan
EXPIRED = "this list has expired; reload the page"


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """list: of duplicates, its id. folder: where to."""

    list: str
    folder: str


@dataclass(frozen=True, slots=True)
class MoveRequest:
    """plan: its id, which the user has read."""

    plan: str


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """log: the path that a move gave."""

    log: str


def list_duplicates(state: ServerState, library: Library, query: QueryParams) -> Duplicates:
    """Parameters: near=no for equal files only; keep: what counts first; for more of a list, its id, and first: the
    first group's index."""
    first, list_id = parse_integer(query.get("first", "0")), query.get("list")
    if list_id is None:
        groups = library.find_duplicates(near=query.get("near") != "no", keep=query.getlist("keep"))
        list_id = state.duplicates.add(groups)
    elif (stored := state.duplicates.get(list_id)) is not None:
        groups = stored
    else:
        raise InputError(EXPIRED)
    spare_bytes = sum(group.spare_bytes for group in groups)
    return Duplicates(
        list_id, len(groups), spare_bytes, [make_duplicates(group) for group in groups[first : first + MAX_GROUPS]]
    )


def list_bursts(state: ServerState, library: Library, query: QueryParams) -> Bursts:
    """Parameters: for more of a list, its id, and first."""
    first, list_id = parse_integer(query.get("first", "0")), query.get("list")
    if list_id is None:
        bursts = library.find_bursts()
        list_id = state.bursts.add(bursts)
    elif (stored := state.bursts.get(list_id)) is not None:
        bursts = stored
    else:
        raise InputError(EXPIRED)
    photos = sum(len(burst.shots) for burst in bursts)
    return Bursts(list_id, len(bursts), photos, [make_burst(burst) for burst in bursts[first : first + MAX_GROUPS]])


def plan_spares(state: ServerState, library: Library, request: PlanRequest) -> Spares:
    groups = state.duplicates.get(request.list)
    if groups is None:
        raise InputError(EXPIRED)
    plan = library.spares.plan(parse_path(request.folder), groups)
    files = plan.files
    return Spares(
        state.plans.add(plan), plan.folder, plan.photos, len(files) - plan.photos, plan.size_bytes,
        [SpareRow(file.source, file.target, file.size_bytes, file.reason) for file in files[:MAX_ROWS]],
        len(plan.left), [LeftRow(*each) for each in plan.left[:MAX_NAMED]], plan.excluded_from, plan.unfinished,
    )  # fmt: skip


def move_spares(state: ServerState, request: MoveRequest) -> MoveState:
    plan = state.plans.get(request.plan)
    if plan is None:
        raise InputError("this plan has expired; nothing was moved; ask again what would be moved")
    return state.spare_moves.move(plan)


def undo_spares(state: ServerState, request: UndoRequest) -> MoveState:
    return state.spare_moves.undo(parse_path(request.log))


def read_move(state: ServerState, query: QueryParams) -> MoveState:
    return state.spare_moves.read()
