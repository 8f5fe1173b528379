"""Labels that are marked and could be learned: how far each is, and which command comes next."""

import shlex
from dataclasses import dataclass

from photosearch.library import classifiers
from photosearch.library.database import Database
from photosearch.library.marks import count_learnable
from photosearch.library.models import read_default_model
from photosearch.library.records import USER_MODEL
from photosearch.library.vectors import find_space
from photosearch.search.labels import get_label

MIN_MARKS = 5  # of each kind, to learn a label


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a label can be learned.

    yes, no: pictures with a vector that are marked so. has_vectors: whether the model gives vectors, to learn from.
    exists: whether `find` knows the label. is_learned: whether it was learned before. is_current: from these marks.
    """

    label: str
    yes: int
    no: int
    has_vectors: bool
    exists: bool
    is_learned: bool
    is_current: bool

    @property
    def is_ready(self) -> bool:
        """Whether there are enough marks, which it was not learned from yet."""
        return min(self.yes, self.no) >= MIN_MARKS and not self.is_current

    @property
    def missing_yes(self) -> int:
        return max(0, MIN_MARKS - self.yes)

    @property
    def missing_no(self) -> int:
        return max(0, MIN_MARKS - self.no)

    @property
    def next_step(self) -> str:
        """What to do to learn it, in one line."""
        name, marked = shlex.quote(self.label), f"{self.label}: {self.yes} marked yes and {self.no} no"
        if not self.has_vectors:
            return f"{self.label}: the default model gives no vectors to learn from; index with another model"
        if self.is_ready:
            return f"{marked}, enough to learn it: photosearch learn {name}"
        if self.is_current:
            return f"{marked}, which it was learned from; mark more to learn it better"
        options = [f"--is {name}"] * bool(self.missing_yes) + [f"--not {name}"] * bool(self.missing_no)
        commands = ", ".join(f"photosearch mark PHOTO... {option}" for option in options)
        return f"{marked}; {MIN_MARKS} each, better 20, are needed to learn it: {commands}"

    def to_json(self) -> dict[str, object]:
        return {
            "label": self.label, "yes": self.yes, "no": self.no, "missing_yes": self.missing_yes,
            "missing_no": self.missing_no, "has_vectors": self.has_vectors, "exists": self.exists,
            "is_learned": self.is_learned, "is_ready": self.is_ready, "next_step": self.next_step,
        }  # fmt: skip


def check_readiness(db: Database, name: str, model: str | None = None) -> Readiness:
    """How far a marked label is. name: exactly its own. model: whose vectors it would be learned on."""
    chosen = model or read_default_model(db)
    space = None if chosen is None else find_space(db, chosen)
    yes, no = (0, 0) if space is None else count_learnable(db, name, space)
    label = get_label(db, name)
    own = label if label is not None and label.model == USER_MODEL else None
    learned = None if own is None else classifiers.find_classifier(db, own)
    is_current = learned is not None and (yes, no) == (learned.metrics["marked_yes"], learned.metrics["marked_no"])
    return Readiness(name, yes, no, space is not None, label is not None, learned is not None, is_current)


def describe_first_step(name: str) -> str:
    """How to begin a label of one's own, in one line."""
    quoted = shlex.quote(name)
    return (
        f"{name} is not a label yet; to teach it: photosearch mark PHOTO... --is {quoted} --new, "
        f"others --not {quoted}, then photosearch learn {quoted}"
    )
