"""Adds two-tower models that others published: a layout of layouts.py is checked, and becomes a model of the user's.

The result is a folder in the user's models folder: copies of the files, and a card.json (encoders.py) that says how
images and texts are preprocessed, so that `Model` and `TextModel` serve it like any other. The preprocessing follows
the files: names, types and shapes in the graphs first, then the settings next to them. Nothing is half added: the
folder gets its name once two images and two sentences were encoded.
"""

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from photosearch import atomic
from photosearch.errors import InputError, ModelError, first_line
from photosearch.models import catalog
from photosearch.models.card import Card, TextCard
from photosearch.models.encoders import ImageEncoder, TextEncoder, TwoTowerModel, is_below, sha256, write_encoders
from photosearch.models.layouts import (
    CLIP_VOCABULARY,
    ImagePreprocessing,
    Layout,
    build_clip_tokenizer,
    check_vocabulary,
    find_layout,
    is_siglip,
    read_context,
    read_normalization,
    read_pad_id,
    read_preprocessing,
)
from photosearch.models.protobuf import list_external_files
from photosearch.models.session import Model, Vectors, read_model, start_session
from photosearch.models.text import TextModel, Tokens, open_tokenizer

IMAGE_OUTPUTS = ("image_embeds", "embedding", "output", "pooler_output")
TEXT_OUTPUTS = ("text_embeds", "embedding", "output", "pooler_output")
TEXT_INPUTS = ("input_ids", "text", "input")
FLOATS = ("tensor(float)", "tensor(float16)")
PIXEL_DTYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": "uint8"}
ABANDONED_SECONDS = 86_400  # a killed run may leave gigabytes; a day later nobody is adding that model
SENTENCES = ("a photo of a bird", "two people on a beach")
MAX_DIFFERENCE = 2e-3  # of unit vectors' numbers: float16 rounds to 1e-3, an int8 batch differs by 1e-2
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class AddedModel:
    """path: its folder. layout: its name. remarks: for the user, a sentence each."""

    name: str
    path: Path
    image_card: Card
    text_card: TextCard
    layout: str
    remarks: tuple[str, ...] = ()


def add_model(
    folder: Path, *, name: str | None = None, to: Path | None = None, licence: str = "",
    source: Mapping[str, object] | None = None,
) -> AddedModel:  # fmt: skip
    """Add a published two-tower model to the user's models. Raises ModelError; then nothing was added.

    name: for `--model`; default: the folder's name. to: the models folder. source: for the card.
    """
    folder, to = Path(folder), to or catalog.models_folder()
    name = name or folder.resolve().name
    _check_name(name, to)
    layout = find_layout(folder)
    try:
        to.mkdir(parents=True, exist_ok=True)
        atomic.remove_abandoned(to / name, older_than_seconds=ABANDONED_SECONDS)
        with atomic.make_folder(to / name) as part:
            model, remarks = _fill(part, layout, name, to, licence, source or {})
    except OSError as error:
        raise ModelError(f"{error.filename or to}: can't add {name}: {error.strerror}") from None
    return AddedModel(name, to / name, model.image_card, model.text_card, layout.name, remarks)


def _fill(
    part: Path, layout: Layout, name: str, to: Path, licence: str, source: Mapping[str, object]
) -> tuple[TwoTowerModel, tuple[str, ...]]:
    """Fill the new model's folder, and test it. -> the model and remarks. Raises ModelError, OSError."""
    pulled = layout.folder.resolve().is_relative_to(to.resolve())  # deleted afterwards: links save a second gigabyte
    try:
        weights = _copy(layout, part, _link_or_copy if pulled else shutil.copyfile)
        return _test(_describe(layout, name, part, weights, licence, source))
    except ModelError as error:
        raise ModelError(str(error).replace(str(part), str(layout.folder))) from None


def remove_model(name: str, *, to: Path | None = None) -> Path:
    """Delete a model that was added; the library keeps its results. Returns where it was. Raises ModelError."""
    to = to or catalog.models_folder()
    path = catalog.list_added(to).get(name)
    if path is None:
        shipped = name in catalog.list_shipped()
        reason = "it is part of photosearch" if shipped else "no model of that name was added"
        raise ModelError(f"can't remove the model {name}: {reason}")
    try:
        if path.is_dir() and not path.is_symlink():
            hidden = path.with_name(f".removing-{name}-{os.getpid()}")
            path.rename(hidden)  # first, so that no program finds half a model
            shutil.rmtree(hidden)
        else:
            path.unlink()
    except OSError as error:
        raise ModelError(f"{path}: can't remove this model: {error.strerror}") from None
    return path


def _check_name(name: str, to: Path) -> None:
    """Raises ModelError."""
    if not NAME.fullmatch(name) or name.endswith(catalog.TEXT_MODEL):
        raise ModelError(f"{name!r} can't be a model's name: use letters, digits, dots, dashes and underscores")
    if name in catalog.list_shipped() or name in catalog.list_added(to) or (to / name).exists():
        raise ModelError(f"there is a model {name} already: give another name, or remove that one first")


# ---- copying the files


def _copy(layout: Layout, to: Path, copy_file: Callable[[Path, Path], object]) -> dict[str, tuple[str, ...]]:
    """Copy both encoders, their weights and the tokenizer. -> encoder's file -> its files of weights."""
    weights = {name: _list_weights(layout.folder, name) for name in (layout.image, layout.text)}
    for name in {layout.tokenizer, *weights, *(file for files in weights.values() for file in files)}:
        if name == CLIP_VOCABULARY:  # converted instead
            continue
        _check_link(layout.folder, name)
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        copy_file((layout.folder / name).resolve(), to / name)
    return weights


def _link_or_copy(source: Path, to: Path) -> None:
    try:
        os.link(source, to)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, to)


def _list_weights(folder: Path, encoder: str) -> tuple[str, ...]:
    """The files with an encoder's weights, relative to the folder. Raises ModelError."""
    path, names = folder / encoder, []
    try:
        with path.open("rb") as file:
            external_files = sorted(list_external_files(file))
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from None
    for name in external_files:
        if not is_below(name):
            raise ModelError(f"{path}: needs weights from {name[:200]!r}, which is not in its folder")
        relative = str(Path(encoder).parent / name) if "/" in encoder else name
        if not (folder / relative).is_file():
            raise ModelError(f"{folder}: lacks {relative}, which has the weights of {encoder}")
        names.append(Path(relative).as_posix())
    return tuple(names)


def _check_link(folder: Path, name: str) -> None:
    """Raises ModelError if a link leads out of the folder, except into the blobs of a hub's own cache."""
    allowed = [folder.resolve()]
    if folder.resolve().parent.name == "snapshots":
        allowed.append(folder.resolve().parents[1] / "blobs")
    target = (folder / name).resolve()
    if not any(target.is_relative_to(place) for place in allowed):
        raise ModelError(f"{folder / name}: is a link out of its folder, to {target}")


# ---- describing the model


def _describe(
    layout: Layout, name: str, folder: Path, weights: Mapping[str, tuple[str, ...]], licence: str,
    source: Mapping[str, object],
) -> TwoTowerModel:  # fmt: skip
    """folder: of the copies."""
    if layout.tokenizer == CLIP_VOCABULARY:
        (folder / "tokenizer.json").write_text(build_clip_tokenizer(layout.folder / CLIP_VOCABULARY))
        layout = replace(layout, tokenizer="tokenizer.json")
    files = {p.relative_to(folder).as_posix(): sha256(p) for p in sorted(folder.rglob("*")) if p.is_file()}
    image_session, text_session = _open(folder / layout.image), _open(folder / layout.text)
    how = read_preprocessing(layout, image_session.get_inputs()[0].shape)
    image = _describe_image(layout, image_session, weights[layout.image], how)
    dimensions = _find_dimensions(folder / layout.image, image_session, image)
    space = f"{name}@{files[layout.image][:12]}{files[layout.text][:12]}"
    version = files[layout.image][:12]
    image_card = Card(
        name, version, input_size=how.resize, fit=how.fit, outputs=("vectors",), space=space, dimensions=dimensions,
        licence=licence, details={"layout": layout.name, **source},
    )  # fmt: skip
    text_card = TextCard(f"{name}-text", version, space, dimensions, context=1, licence=licence)
    text_card, text = _describe_text(layout, text_session, weights[layout.text], folder, files, text_card)
    return TwoTowerModel(folder, image_card, text_card, image, text, files, source)


def _open(path: Path) -> Any:
    return start_session(path, read_model(path), "cpu", threads=1, weights_folder=path.parent)


def _describe_image(layout: Layout, session: Any, weights: tuple[str, ...], how: ImagePreprocessing) -> ImageEncoder:
    path, inputs = layout.folder / layout.image, session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in PIXEL_DTYPES or len(inputs[0].shape) != 4:
        raise ModelError(f"{path}: must take one batch of pixels, float or uint8")
    dtype, shape = PIXEL_DTYPES[inputs[0].type], inputs[0].shape
    # By the shape if it is fixed; without a fixed shape, floats have their channels first and bytes last.
    channels_last = shape[3] == 3 or (shape[1] != 3 and dtype == "uint8")
    sides = {d for d in (shape[1:3] if channels_last else shape[2:4]) if isinstance(d, int)}
    if sides - {how.size}:
        raise ModelError(f"{path}: takes photos of {max(sides)} pixels, its settings say {how.size}")
    return ImageEncoder(
        layout.image, weights, inputs[0].name, _find_output(path, session, IMAGE_OUTPUTS), dtype,
        "last" if channels_last else "first", how.size, _read_max_batch(path, shape), how.scale, how.mean, how.std,
    )  # fmt: skip


def _read_max_batch(path: Path, shape: Sequence[object]) -> int:
    """1 if a graph takes one at a time, 0 if any number. Raises ModelError."""
    if isinstance(shape[0], int) and shape[0] != 1:
        raise ModelError(f"{path}: takes exactly {shape[0]} at a time, not one or any number")
    return 1 if shape[0] == 1 else 0


def _find_output(path: Path, session: Any, preferred: Sequence[str]) -> str:
    """The output for vectors [N, D], by its name if one is preferred. Raises ModelError."""
    names: list[str] = [o.name for o in session.get_outputs() if len(o.shape or ()) == 2 and o.type in FLOATS]
    for name in (*preferred, *names):
        if name in names:
            return name
    every = ", ".join(o.name for o in session.get_outputs())[:200]
    raise ModelError(f"{path}: none of its outputs is a vector: {every}")


def _find_dimensions(path: Path, session: Any, encoder: ImageEncoder) -> int:
    """The length of the vector of a gray photo."""
    side = encoder.size
    shape = (1, 3, side, side) if encoder.channels == "first" else (1, side, side, 3)
    gray = np.full(shape, 128 if encoder.dtype == "uint8" else 0.5, np.dtype(encoder.dtype))
    try:
        (vectors,) = session.run([encoder.output], {encoder.input: gray})
    except Exception as error:
        raise ModelError(f"{path}: failed at a gray photo: {first_line(error)}") from None
    if vectors.ndim != 2 or vectors.shape[0] != 1:
        raise ModelError(f"{path}: gave vectors of shape {vectors.shape} for one photo")
    return int(vectors.shape[1])


def _describe_text(
    layout: Layout, session: Any, weights: tuple[str, ...], folder: Path, files: Mapping[str, str], card: TextCard
) -> tuple[TextCard, TextEncoder]:
    """card: without what is found out here."""
    path = layout.folder / layout.text
    shapes = {i.name: i.shape for i in session.get_inputs()}
    ids = next((name for name in TEXT_INPUTS if name in shapes), "")
    if not ids and len(shapes) == 1:
        (ids,) = shapes
    if not ids or len(shapes[ids]) != 2:
        raise ModelError(f"{path}: must take rows of tokens, it takes {', '.join(shapes)[:200]}")
    siglip = is_siglip(layout)
    fixed_length = shapes[ids][1] if isinstance(shapes[ids][1], int) else 0
    context = fixed_length or read_context(layout, siglip)
    # Padding must not change a vector, or be as in training. An attention mask hides it, a causal network doesn't see
    # it; for all others the rows are padded to the length used in training.
    pads = bool(fixed_length) or siglip or "attention_mask" not in shapes
    card = replace(
        card, context=context, pad_to=context if pads else 0, text_normalization=read_normalization(layout, siglip),
        tokenizer_sha256=files[layout.tokenizer],
    )  # fmt: skip
    tokenizer = open_tokenizer(folder / layout.tokenizer, card)
    check_vocabulary(layout, tokenizer)
    card = replace(card, pad_id=read_pad_id(layout, tokenizer, siglip))
    output = _find_output(path, session, TEXT_OUTPUTS)
    max_batch = _read_max_batch(path, shapes[ids])
    return card, TextEncoder(layout.text, weights, layout.tokenizer, ids, output, max_batch, siglip)


# ---- testing the model


def _test(model: TwoTowerModel) -> tuple[TwoTowerModel, tuple[str, ...]]:
    """Encode two images and two sentences. -> the model as it works, and remarks. Raises ModelError."""
    remarks = []
    model, reason = _test_encoder(model, replace(model, image=replace(model.image, max_batch=1)), _encode_images)
    if reason:
        remarks.append(f"it encodes one photo at a time, {reason}")
    model, reason = _test_encoder(model, replace(model, text=replace(model.text, max_batch=1)), _encode_texts)
    if reason:
        remarks.append(f"it encodes one text at a time, {reason}")
    return model, tuple(remarks)


def _test_encoder(
    model: TwoTowerModel, single: TwoTowerModel, encode: Callable[[TwoTowerModel], Vectors]
) -> tuple[TwoTowerModel, str]:
    """Choose between batches and one at a time. -> (model or single, why single). Raises ModelError.

    single: the same model, one at a time. encode: gives the vectors of two different inputs.
    """
    write_encoders(single)
    alone = encode(single)
    if np.abs(alone[0] - alone[1]).max() <= MAX_DIFFERENCE:
        different, file = ("images", model.image.file) if encode is _encode_images else ("sentences", model.text.file)
        raise ModelError(f"{file}: gives two different {different} the same vector")
    if model == single:
        return single, "since its file takes no more"
    write_encoders(model)
    try:
        together = encode(model)
    except ModelError:
        reason = "since it fails at two"
    else:
        if np.abs(together - alone).max() <= MAX_DIFFERENCE:
            return model, ""
        reason = "since its vectors depend on the others in a batch, as those of many int8 files do"
    write_encoders(single)
    return single, reason


def _encode_images(model: TwoTowerModel) -> Vectors:
    size = model.image_card.input_size
    images = np.random.default_rng(0).integers(0, 256, (2, 1, size, size, 3), np.uint8)
    images[0, :, : size // 2] //= 8  # noise, and noise that is dark in its upper half
    vectors = Model(model.folder, provider="cpu", threads=1).predict(images).vectors
    assert vectors is not None
    return vectors


def _encode_texts(model: TwoTowerModel) -> Vectors:
    tokenizer = model.folder / model.text.tokenizer
    text_model = TextModel(model.folder)
    last_id = max(open_tokenizer(tokenizer, model.text_card).get_vocab().values(), default=0)
    try:
        text_model.encode(Tokens([[last_id]], model.text_card))
    except ModelError:
        raise ModelError(f"{tokenizer}: is another model's: the text encoder fails at its token {last_id:,}") from None
    try:
        return text_model.embed(SENTENCES)
    except InputError as error:
        raise ModelError(f"{tokenizer}: can't tokenize an English sentence: {error}") from None
