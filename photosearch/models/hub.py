"""Larger models that others publish, fetched when asked, and never otherwise: the extra `pull`.

Which they are is a table, OFFERS. The revision and the SHA-256 of each file are written down when a model was fetched
for the first time, in pulled.json in the models folder, and are held to from then on, even after the model was removed.
None of them stands here: they could not be verified while this was written, and all of this was run only against a
server on loopback that answers as a hub does. What was fetched goes the way of
`models add`. A download that broke goes on where it stopped. HF_ENDPOINT names another hub than the package's own.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosearch import __version__, atomic
from photosearch.errors import ModelError, first_line
from photosearch.models import catalog
from photosearch.models.encoders import is_below, sha256
from photosearch.models.protobuf import list_external_files
from photosearch.models.two_tower import AddedModel, add_model

PULLED_FILE = "pulled.json"
MAX_PULLED_BYTES = 2**24
HEADERS = {"User-Agent": f"photosearch/{__version__}"}
SETTINGS = ("config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json")


@dataclass(frozen=True, slots=True)
class Offer:
    """repository: on the hub. files: what must be there, as it is called there; weights beside a tower come along.
    maybe: what is taken if it is there."""

    name: str
    what: str
    licence: str
    repository: str
    files: tuple[str, ...]
    maybe: tuple[str, ...] = ("special_tokens_map.json",)


TRANSFORMERS_JS = ("onnx/vision_model.onnx", "onnx/text_model.onnx", *SETTINGS)
OFFERS = {
    offer.name: offer
    for offer in (
        Offer(
            "siglip2-b32-256",
            "SigLIP2 ViT-B/32-256: the recommended one; a large text tower, needed only when asking",
            "Apache-2.0",
            "onnx-community/siglip2-base-patch32-256-ONNX",
            TRANSFORMERS_JS,
        ),
        Offer(
            "openclip-b32-256",
            "OpenCLIP ViT-B/32-256, taught on DataComp: the light one",
            "MIT",
            "yurijmikhalevich/rclip-models",
            (
                "ViT-B-32-256-datacomp_s34b_b86k/visual.onnx",
                "ViT-B-32-256-datacomp_s34b_b86k/textual.onnx",
                "tokenizer/bpe_simple_vocab_16e6.txt.gz",
            ),
            (),
        ),
        Offer(
            "clip-b32",
            "OpenAI's CLIP ViT-B/32: the classic",
            "MIT",
            "Xenova/clip-vit-base-patch32",
            TRANSFORMERS_JS,
        ),
    )
}


def find_offer(name: str) -> Offer:
    """What would be fetched, with its licence: to be shown before `pull`. Contacts nobody. Raises ModelError."""
    if name not in OFFERS:
        raise ModelError(f"no model {name!r} is offered: give one of {', '.join(OFFERS)}")
    return OFFERS[name]


def pull_model(name: str, *, to: Path | None = None, endpoint: str | None = None) -> AddedModel:
    """Fetch a model by its name in OFFERS, and add it. Raises ModelError; then nothing was added.

    endpoint: of the hub; None for HF_ENDPOINT, or the package's own. What was fetched before it broke is kept.
    """
    wanted, to = find_offer(name), to or catalog.models_folder()
    if name in catalog.list_added(to):
        raise ModelError(f"{name} is there already; `photosearch models remove {name}` makes room for it")
    hub = _hub()
    held = _read_pulled(to).get(name)
    aside = to / f".pulling-{name}"
    with _told(wanted, "asking for"):
        info = hub.HfApi(endpoint=endpoint, token=False).model_info(
            wanted.repository, revision=held["revision"] if held else None, files_metadata=True
        )
        published = {s.rfilename: s.lfs.sha256 if s.lfs else None for s in info.siblings or []}
        sizes = {s.rfilename: s.size for s in info.siblings or []}
        revision = str(info.sha)
    if held and held["revision"] != revision:
        raise ModelError(f"{name}: the hub gives revision {revision}, but {held['revision']} was pulled before")
    if missing := [file for file in wanted.files if file not in published]:
        raise ModelError(f"{name}: {wanted.repository} no longer has {missing[0]}")

    files: dict[str, str] = {}
    waiting = [*wanted.files, *(file for file in wanted.maybe if file in published)]
    while waiting:
        file = waiting.pop(0)
        with _told(wanted, f"fetching {file} of"):
            url = hub.hf_hub_url(wanted.repository, file, revision=revision, endpoint=endpoint)
            path = _fetch(url, aside / revision / file, sizes[file])
        files[file] = _checked(name, path, file, published[file], held)
        waiting += [more for more in _weights(name, path, file, published) if more not in files]
    if not held:
        _write_pulled(to, name, {"repository": wanted.repository, "revision": revision, "files": files})
    added = add_model(aside / revision, name=name, to=to, licence=wanted.licence,
                source={"repository": wanted.repository, "revision": revision})  # fmt: skip
    shutil.rmtree(aside, ignore_errors=True)
    return added


def _hub() -> Any:
    # Read when it is imported: no word about us to anybody, and one plain way to fetch, which resumes.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    try:
        import huggingface_hub
    except ImportError:
        raise ModelError("fetching models needs huggingface_hub: pip install 'photosearch[pull]'") from None
    return huggingface_hub


def _fetch(url: str, path: Path, size: int | None) -> Path:
    """Fetch a file, or what is missing of it: the package's own download keeps no half file for the next run."""
    from huggingface_hub.file_download import http_get

    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with part.open("ab") as file:
        if size is None or file.tell() < size:
            http_get(url, file, resume_size=file.tell(), headers=HEADERS, expected_size=size)
    part.replace(path)
    return path


class _told:
    """Errors of the hub's package -> one line of ours."""

    def __init__(self, wanted: Offer, doing: str):
        self.what = f"{wanted.name}: {doing} {wanted.repository} failed"
        self.again = f"`photosearch models pull {wanted.name}` goes on where it stopped"

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, _: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, ModelError):
            raise ModelError(f"{self.what}: {first_line(error)}; {self.again}") from None


def _checked(name: str, path: Path, file: str, published: str | None, held: Mapping[str, Any] | None) -> str:
    """The SHA-256 of what was fetched. Raises ModelError where it is not the one that it should be."""
    digest = sha256(path)
    if published is not None and digest != published:
        path.unlink()
        raise ModelError(f"{name}: {file} came with other bytes than the hub says it has; pull it again")
    if held and held["files"].get(file) != digest:
        path.unlink()
        raise ModelError(f"{name}: {file} is not the file that was pulled before; nothing was added")
    return digest


def _weights(name: str, path: Path, file: str, published: Mapping[str, Any]) -> list[str]:
    """The files that hold a tower's weights, where they lie beside it."""
    if not file.endswith(".onnx"):
        return []
    try:
        with path.open("rb") as opened:
            names = sorted(list_external_files(opened))
    except ValueError as error:
        raise ModelError(f"{name}: {file}: {error}") from None
    beside = [f"{file.rpartition('/')[0]}/{below}".lstrip("/") for below in names]
    for below, whole in zip(names, beside, strict=True):
        if not is_below(below) or whole not in published:
            raise ModelError(f"{name}: {file} wants weights from {below[:200]!r}, which the hub doesn't have beside it")
    return beside


def _read_pulled(to: Path) -> dict[str, Any]:
    """What was pulled before: name -> repository, revision, files. Raises ModelError."""
    path = to / PULLED_FILE
    if not path.exists():
        return {}
    try:
        raw = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_PULLED_BYTES else None
    except (OSError, ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict) or not all(_is_record(record) for record in raw.values()):
        raise ModelError(f"{path}: can't read what was pulled before; delete it to trust the hub anew")
    return raw


def _is_record(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("revision"), str)
        and isinstance(record.get("files"), dict)
        and all(isinstance(digest, str) for digest in record["files"].values())
    )


def _write_pulled(to: Path, name: str, record: Mapping[str, Any]) -> None:
    path = to / PULLED_FILE
    try:
        atomic.write_bytes(path, json.dumps({**_read_pulled(to), name: record}, indent=1, sort_keys=True).encode())
    except OSError as error:
        raise ModelError(f"{path}: can't write this: {error.strerror}") from None
