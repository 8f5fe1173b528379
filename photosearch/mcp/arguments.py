"""What each tool may be asked, with bounds: everything else is refused before the library sees it."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from photosearch.errors import InputError

MAX_WORDS = 500  # characters of a question
MAX_PATH = 4096  # characters
MAX_PHOTOS = 100
MAX_IMAGES = 10  # pictures in one answer: some 15 KB each
MAX_GROUPS = 100

_WORDS = "Labels (bird and not dog), a description (a cat asleep), filters (in:Portugal, rating:>=4), or all of them."
_UNDER = "Only photos in this folder of the library, or below it."
_PATH = "The photo's path, as another tool gave it."
_IMAGES = "Also send small pictures of the first N photos."


class Arguments(BaseModel):
    """The names and bounds of a tool's arguments."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Find(Arguments):
    words: str = Field("", max_length=MAX_WORDS, description=f"{_WORDS} Without words: the newest photos.")
    limit: int = Field(20, ge=1, le=MAX_PHOTOS, description="Photos in the answer, at most.")
    since: str | None = Field(None, max_length=40, description="Taken on or after: 2024, 2024-05 or 2024-05-31.")
    until: str | None = Field(None, max_length=40, description="Taken on or before.")
    under: str | None = Field(None, max_length=MAX_PATH, description=_UNDER)
    sure_only: bool = Field(False, description="Leave out photos that only come near.")
    sort: Literal["best", "date"] = Field("best", description="Best first, or newest first.")
    images: int = Field(0, ge=0, le=MAX_IMAGES, description=_IMAGES)


class Explain(Arguments):
    words: str = Field(max_length=MAX_WORDS, description=_WORDS)


class Photo(Arguments):
    path: str = Field(max_length=MAX_PATH, description=_PATH)
    image: Literal["none", "small", "large"] = Field(
        "none", description="Also send the picture, of 320 or 1600 pixels at most."
    )


class Similar(Arguments):
    path: str = Field(max_length=MAX_PATH, description=_PATH)
    limit: int = Field(20, ge=1, le=MAX_PHOTOS, description="Photos in the answer, at most.")
    images: int = Field(0, ge=0, le=MAX_IMAGES, description=_IMAGES)


class Duplicates(Arguments):
    exact: bool = Field(False, description="Only files with the same bytes.")
    under: str | None = Field(None, max_length=MAX_PATH, description=_UNDER)
    limit: int = Field(20, ge=1, le=MAX_GROUPS, description="Groups in the answer, at most.")


class Albums(Arguments):
    name: str | None = Field(None, max_length=MAX_WORDS, description="An album or a saved search. Default: list all.")
    limit: int = Field(20, ge=1, le=MAX_PHOTOS, description="Photos of the album in the answer, at most.")
    images: int = Field(0, ge=0, le=MAX_IMAGES, description=_IMAGES)


class Report(Arguments):
    label: str | None = Field(None, max_length=MAX_WORDS, description="Default: the only label with marks.")
    under: str | None = Field(None, max_length=MAX_PATH, description=_UNDER)


def parse(kind: type[Arguments], given: dict[str, Any]) -> Arguments:
    """Raises InputError, in one line that names the argument and never repeats what it holds."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))[:80]
        raise InputError(f"{name or 'arguments'}: {first['msg'][:200]}") from None
