"""Records that several modules of the library exchange."""

from dataclasses import dataclass

USER_MODEL = "yours"  # the model whose labels are the user's own: descriptions, and what was learned from marks


@dataclass(frozen=True, slots=True)
class Label:
    """threshold: the user's own where one was saved, else the card's. saved: whether it is the user's own."""

    id: int
    model: str
    name: str
    threshold: float
    saved: bool

    def to_json(self) -> dict[str, object]:
        return {"label": self.name, "model": self.model, "threshold": self.threshold, "saved": self.saved}


@dataclass(frozen=True, slots=True)
class VectorSpace:
    """Where a model's vectors lie. model_id: the reading they are stored with. name: by which text towers know it."""

    model_id: int
    digest: str
    name: str
    dimensions: int
