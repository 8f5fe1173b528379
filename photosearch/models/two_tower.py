"""Models that others made: two towers in one of the layouts of layouts.py are checked, and made one of the user's.

What is added is a folder in the user's models folder: copies of the files and a card.json (towers.py) that says how a
photo and a text are prepared, so that `Model` and `TextModel` serve it like any other. What is chosen here follows the
files: names, types and shapes in the graphs first, then the settings beside them. Nothing is half added: the copies
are made aside and get their name when two pictures and two sentences went through them.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from photosearch import atomic
from photosearch.errors import InputError, ModelError, first_line
from photosearch.models import catalog
from photosearch.models.card import Card, TextCard
from photosearch.models.encoders import ImageEncoder, TextEncoder, TwoTowerModel, is_below, sha256, write_encoders
from photosearch.models.layouts import (
    CLIP_VOCABULARY,
    Layout,
    Pixels,
    build_clip_tokenizer,
    check_vocabulary,
    find_layout,
    is_siglip,
    read_context,
    read_normalization,
    read_pad_id,
    read_pixels,
)
from photosearch.models.protobuf import list_external_files
from photosearch.models.session import Model, read_model, start_session
from photosearch.models.text import Rows, TextModel, open_tokenizer

IMAGE_OUTPUTS = ("image_embeds", "embedding", "output", "pooler_output")
TEXT_OUTPUTS = ("text_embeds", "embedding", "output", "pooler_output")
TEXT_INPUTS = ("input_ids", "text", "input")
FLOATS = ("tensor(float)", "tensor(float16)")
PIXELS = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
ABANDONED_SECONDS = 86_400  # a half-added model of a killed run may be gigabytes; a day later nobody is adding it
SENTENCES = ("a photo of a bird", "two people on a beach")
DRIFT = 2e-3  # in a vector of unit length: float16 rounds to 1e-3, an int8 export of a whole batch moves by 1e-2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class AddedModel:
    """path: its folder. layout: whose. remarks: what a user may want to know, a sentence each."""

    name: str
    path: Path
    card: Card
    text: TextCard
    layout: str
    remarks: tuple[str, ...] = ()


def add_model(
    folder: Path, *, name: str | None = None, to: Path | None = None, licence: str = "",
    source: Mapping[str, Any] | None = None,
) -> AddedModel:  # fmt: skip
    """Make a two-tower model that lies in a folder one of the user's. Raises ModelError; then nothing was added.

    name: for `--model`, the folder's own where none is given. to: the models folder. source: for the card.
    """
    folder, to = Path(folder), to or catalog.models_folder()
    name = _free_name(name or folder.resolve().name, to)
    found = find_layout(folder)
    try:
        to.mkdir(parents=True, exist_ok=True)
        atomic.remove_abandoned(to / name, older_than_seconds=ABANDONED_SECONDS)
        with atomic.make_folder(to / name) as part:
            towers, remarks = _add(found, name, part, to, licence, source or {})
    except OSError as error:
        raise ModelError(f"{error.filename or to}: can't add {name}: {error.strerror}") from None
    return AddedModel(name, to / name, towers.card, towers.text, found.layout, remarks)


def _add(
    found: Layout, name: str, part: Path, to: Path, licence: str, source: Mapping[str, Any]
) -> tuple[TwoTowerModel, tuple[str, ...]]:
    """Fill the new model's folder, and try the model. -> the model and remarks. Raises ModelError, OSError."""
    pulled = found.folder.resolve().is_relative_to(to.resolve())  # lies beside it, and goes away: no second gigabyte
    try:
        files = _copy(found, part, _link if pulled else shutil.copyfile)
        return _check(_describe(found, name, part, files, licence, source))
    except ModelError as error:
        raise ModelError(str(error).replace(str(part), str(found.folder))) from None


def remove_model(name: str, *, to: Path | None = None) -> Path:
    """Delete a model that was added; the library keeps what it said. Returns where it was. Raises ModelError."""
    to = to or catalog.models_folder()
    path = catalog.list_added(to).get(name)
    if path is None:
        why = "it came with photosearch and stays" if name in catalog.list_shipped() else "none of that name was added"
        raise ModelError(f"can't remove the model {name}: {why}")
    try:
        if path.is_dir() and not path.is_symlink():
            gone = path.with_name(f".removing-{name}-{os.getpid()}")
            path.rename(gone)  # at one stroke, so that nobody meets half a model
            shutil.rmtree(gone)
        else:
            path.unlink()
    except OSError as error:
        raise ModelError(f"{path}: can't remove this model: {error.strerror}") from None
    return path


def _free_name(name: str, to: Path) -> str:
    if not NAME.fullmatch(name) or name.endswith(catalog.TEXT_MODEL):
        raise ModelError(f"{name!r} can't be a model's name: use letters, digits, dots, dashes and underscores")
    if name in catalog.list_shipped() or name in catalog.list_added(to) or (to / name).exists():
        raise ModelError(f"there is a model {name} already: give another name, or remove that one first")
    return name


# ---- copying them


def _copy(found: Layout, aside: Path, put: Callable[[Path, Path], object]) -> dict[str, tuple[str, ...]]:
    """Copy the towers, their weights and the tokenizer. -> each copied file's own further files."""
    weights = {name: _weights(found.folder, name) for name in (found.image, found.text)}
    for name in {found.tokenizer, *weights, *(w for ws in weights.values() for w in ws)}:
        if name == CLIP_VOCABULARY:
            continue
        _check_place(found.folder, name)
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        put((found.folder / name).resolve(), aside / name)
    return weights


def _link(source: Path, to: Path) -> None:
    try:
        os.link(source, to)
    except OSError:  # not every disk can
        shutil.copyfile(source, to)


def _weights(folder: Path, tower: str) -> tuple[str, ...]:
    """The files beside a tower that hold its weights, as names below the folder. Raises ModelError."""
    path, names = folder / tower, []
    try:
        with path.open("rb") as file:
            listed = sorted(list_external_files(file))
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from None
    for name in listed:
        if not is_below(name):
            raise ModelError(f"{path}: wants weights from {name[:200]!r}, which is not in its folder")
        below = str(Path(tower).parent / name) if "/" in tower else name
        if not (folder / below).is_file():
            raise ModelError(f"{folder}: lacks {below}, where {tower} keeps its weights")
        names.append(Path(below).as_posix())
    return tuple(names)


def _check_place(folder: Path, name: str) -> None:
    """Raises ModelError where a link leads out of the folder. A hub's own store, which is made of links, may."""
    inside = [folder.resolve()]
    if folder.resolve().parent.name == "snapshots":
        inside.append(folder.resolve().parents[1] / "blobs")
    real = (folder / name).resolve()
    if not any(real.is_relative_to(place) for place in inside):
        raise ModelError(f"{folder / name}: is a link out of its folder, to {real}")


# ---- describing them


def _describe(
    found: Layout, name: str, aside: Path, weights: Mapping[str, tuple[str, ...]], licence: str,
    source: Mapping[str, Any],
) -> TwoTowerModel:  # fmt: skip
    """What the graphs and the settings say. The dimensions are what the tower that sees gives."""
    if found.tokenizer == CLIP_VOCABULARY:
        _check_place(found.folder, CLIP_VOCABULARY)
        (aside / "tokenizer.json").write_text(build_clip_tokenizer(found.folder / CLIP_VOCABULARY))
        found = replace(found, tokenizer="tokenizer.json")
    files = {p.relative_to(aside).as_posix(): sha256(p) for p in sorted(aside.rglob("*")) if p.is_file()}
    seen, read = _open(aside / found.image), _open(aside / found.text)
    pixels = read_pixels(found, seen.get_inputs()[0].shape)
    image = _describe_image(found, seen, weights[found.image], pixels)
    dimensions = _dimensions(aside / found.image, seen, image)
    space = f"{name}@{files[found.image][:12]}{files[found.text][:12]}"
    version = files[found.image][:12]
    card = Card(
        name, version, input_size=pixels.resize, fit=pixels.fit, outputs=("vectors",), space=space,
        dimensions=dimensions, licence=licence, details={"layout": found.layout, **source},
    )  # fmt: skip
    text, words = _describe_words(found, read, weights[found.text], aside, files, space, dimensions, licence)
    return TwoTowerModel(aside, card, replace(text, name=f"{name}-text", version=version), image, words, files, source)


def _open(path: Path) -> Any:
    return start_session(path, read_model(path), "cpu", threads=1, beside=path.parent)


def _describe_image(found: Layout, session: Any, weights: tuple[str, ...], pixels: Pixels) -> ImageEncoder:
    path, inputs = found.folder / found.image, session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in PIXELS or len(inputs[0].shape) != 4:
        raise ModelError(f"{path}: must take one batch of pixels, float or uint8")
    kind, shape = PIXELS[inputs[0].type], inputs[0].shape
    # By the shape where it says so; exports with no fixed shape take floats channels first and bytes channels last.
    last = shape[3] == 3 or (shape[1] != 3 and kind == "uint8")
    sides = {d for d in (shape[1:3] if last else shape[2:4]) if isinstance(d, int)}
    if sides - {pixels.size}:
        raise ModelError(f"{path}: takes photos of {max(sides)} pixels, its settings say {pixels.size}")
    return ImageEncoder(
        found.image, weights, inputs[0].name, _output(path, session, IMAGE_OUTPUTS), kind, "last" if last else "first",
        pixels.size, _batch(path, shape), pixels.scale, pixels.mean, pixels.deviation,
    )  # fmt: skip


def _batch(path: Path, shape: Sequence[Any]) -> int:
    """1 where a graph takes one at a time, 0 where it takes any number. Raises ModelError."""
    if isinstance(shape[0], int) and shape[0] != 1:
        raise ModelError(f"{path}: takes exactly {shape[0]} at a time, not one or any number")
    return 1 if shape[0] == 1 else 0


def _output(path: Path, session: Any, preferred: Sequence[str]) -> str:
    """By its name, then by its rank: a vector a photo has two axes. Raises ModelError."""
    flat: list[str] = [o.name for o in session.get_outputs() if len(o.shape or ()) == 2 and o.type in FLOATS]
    for name in (*preferred, *flat):
        if name in flat:
            return name
    raise ModelError(
        f"{path}: none of its outputs is a vector: {', '.join(o.name for o in session.get_outputs())[:200]}"
    )


def _dimensions(path: Path, session: Any, image: ImageEncoder) -> int:
    """What one gray photo comes out as."""
    side, kind = image.size, np.dtype(image.kind)
    shape = (1, 3, side, side) if image.channels == "first" else (1, side, side, 3)
    gray = np.full(shape, 128 if image.kind == "uint8" else 0.5, kind)
    try:
        (vectors,) = session.run([image.output], {image.input: gray})
    except Exception as error:
        raise ModelError(f"{path}: failed at a gray photo: {first_line(error)}") from None
    if vectors.ndim != 2 or vectors.shape[0] != 1:
        raise ModelError(f"{path}: gave vectors of shape {vectors.shape} for one photo")
    return int(vectors.shape[1])


def _describe_words(
    found: Layout, session: Any, weights: tuple[str, ...], aside: Path, files: Mapping[str, str], space: str,
    dimensions: int, licence: str,
) -> tuple[TextCard, TextEncoder]:  # fmt: skip
    path = found.folder / found.text
    shapes = {i.name: i.shape for i in session.get_inputs()}
    ids = next((name for name in TEXT_INPUTS if name in shapes), "")
    if not ids and len(shapes) == 1:
        (ids,) = shapes
    if not ids or len(shapes[ids]) != 2:
        raise ModelError(f"{path}: must take rows of tokens, it takes {', '.join(shapes)[:200]}")
    siglip = is_siglip(found)
    fixed = shapes[ids][1] if isinstance(shapes[ids][1], int) else 0
    context = fixed or read_context(found, siglip)
    # What is behind the words must not matter, or be what the model was taught with. A mask hides it, a causal
    # network doesn't see it; for all others the row is filled up to the length that training had.
    pads = bool(fixed) or siglip or "attention_mask" not in shapes
    card = TextCard(
        "text", "1", space, dimensions, context, pad_to=context if pads else 0,
        text_normalization=read_normalization(found, siglip), tokenizer_sha256=files[found.tokenizer], licence=licence,
    )  # fmt: skip
    tokenizer = open_tokenizer(aside / found.tokenizer, card)
    check_vocabulary(found, tokenizer)
    card = replace(card, pad_id=read_pad_id(found, tokenizer, siglip))
    output = _output(path, session, TEXT_OUTPUTS)
    return card, TextEncoder(found.text, weights, found.tokenizer, ids, output, _batch(path, shapes[ids]), siglip)


# ---- trying them


def _check(towers: TwoTowerModel) -> tuple[TwoTowerModel, tuple[str, ...]]:
    """Send two pictures and two sentences through. -> what holds, with remarks. Raises ModelError."""
    remarks = []
    image, towers = _settle(towers, "image", _look)
    if image:
        remarks.append("it looks at one photo at a time, " + image)
    words, towers = _settle(towers, "words", _read)
    if words:
        remarks.append("it reads one text at a time, " + words)
    return towers, tuple(remarks)


def _settle(
    towers: TwoTowerModel, side: str, run: Callable[[TwoTowerModel], npt.NDArray[np.float32]]
) -> tuple[str, TwoTowerModel]:
    """One at a time, where a vector depends on its neighbours or several at once fail. -> (why, towers)."""
    tower = getattr(towers, side)
    single = replace(towers, **{side: replace(tower, batch=1)})
    write_encoders(single)
    alone = run(single)
    if np.abs(alone[0] - alone[1]).max() <= DRIFT:
        what = "pictures" if side == "image" else "sentences"
        raise ModelError(f"{tower.file}: gives two {what} that differ the same vector")
    if tower.batch == 1:
        return "since its file takes no more", single
    write_encoders(towers)
    try:
        together = run(towers)
    except ModelError:
        why = "since it fails at two"
    else:
        if np.abs(together - alone).max() <= DRIFT:
            return "", towers
        why = "since its vectors depend on what stands beside them, as those of many int8 files do"
    write_encoders(single)
    return why, single


def _look(towers: TwoTowerModel) -> npt.NDArray[np.float32]:
    size = towers.card.input_size
    pictures = np.random.default_rng(0).integers(0, 256, (2, 1, size, size, 3), np.uint8)
    pictures[0, :, : size // 2] //= 8  # noise, dark above
    vectors = Model(towers.folder, provider="cpu", threads=1).look(pictures).vectors
    assert vectors is not None
    return vectors


def _read(towers: TwoTowerModel) -> npt.NDArray[np.float32]:
    tokenizer = towers.folder / towers.words.tokenizer
    reader = TextModel(towers.folder)
    last = max(open_tokenizer(tokenizer, towers.text).get_vocab().values(), default=0)
    try:
        reader.run(Rows([[last]], towers.text))
    except ModelError:
        raise ModelError(f"{tokenizer}: is another model's, the text tower fails at its token {last:,}") from None
    try:
        return reader.embed(SENTENCES)
    except InputError as error:
        raise ModelError(f"{tokenizer}: can't cut an English sentence into tokens: {error}") from None
