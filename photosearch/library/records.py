"""Records that several modules of the library exchange."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

USER_MODEL = "yours"  # the name under which the user's own labels are stored: described, or learned from marks


@dataclass(frozen=True, slots=True)
class Label:
    """threshold: the user's saved one, else the model card's. saved: whether it is the user's."""

    id: int
    model: str
    name: str
    threshold: float
    saved: bool


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """The vectors of one model file. model_id: the scorer they are stored with. name: shared with its text encoders."""

    model_id: int
    digest: str
    name: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A scorer: a model file with a number of tiles.

    digest: of the file. images: how many it has scored. path: of the file, None where its name leads to it. last_run:
    when the last index run with a model of this name started, UTC; None: never.
    """

    name: str
    version: str
    tiles: int
    digest: str
    images: int
    path: str | None
    last_run: str | None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Run:
    """An index run. Times are UTC. models: by name. summary: what it counted, and whether it was stopped; None: unknown
    because it has not finished.
    """

    started_at: str
    finished_at: str | None
    host: str
    pid: int
    models: tuple[str, ...]
    provider: str
    summary: Mapping[str, object] | None

    def to_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Counts:
    """photos: files on the disk, the unreadable ones included. images: distinct contents, of absent photos too."""

    photos: int
    unreadable: int
    removed: int
    excluded: int
    images: int
    marks: int

    def to_json(self) -> dict[str, int]:
        return asdict(self)
