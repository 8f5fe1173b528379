"""Downloads larger published models on request, never otherwise; needs the extra `pull`.

OFFERS lists them. The revision and each file's SHA-256 are recorded at the first download, in pulled.json in the models
folder, and checked from then on, even after the model was removed. None are listed here: they couldn't be verified when
this was written, and it has only been run against a local server that behaves like a hub. A downloaded model is added
as by `models add`. An interrupted download resumes. HF_ENDPOINT selects another hub.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
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
    """A model on the hub. files: required; the encoders' weights are fetched too. optional_files: if they exist.

    gigabytes: of its published number of parameters in float32, at most; `measure_offer` asks the hub.
    """

    name: str
    description: str
    licence: str
    gigabytes: float
    repository: str
    files: tuple[str, ...]
    optional_files: tuple[str, ...] = ("special_tokens_map.json",)


@dataclass(frozen=True, slots=True)
class PulledModel:
    """An earlier download. files: as the hub names them -> SHA-256."""

    repository: str
    revision: str
    files: Mapping[str, str]


TRANSFORMERS_JS = ("onnx/vision_model.onnx", "onnx/text_model.onnx", *SETTINGS)
OFFERS = {
    offer.name: offer
    for offer in (
        Offer(
            "siglip2-b32-256",
            "SigLIP2 ViT-B/32-256: many languages, recommended; its large text encoder is needed only for searching",
            "Apache-2.0",
            1.5,
            "onnx-community/siglip2-base-patch32-256-ONNX",
            TRANSFORMERS_JS,
        ),
        Offer(
            "openclip-b32-256",
            "OpenCLIP ViT-B/32-256, trained on DataComp: smaller",
            "MIT",
            0.6,
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
            "OpenAI's CLIP ViT-B/32: the original",
            "MIT",
            0.6,
            "Xenova/clip-vit-base-patch32",
            TRANSFORMERS_JS,
        ),
    )
}


def find_offer(name: str) -> Offer:
    """What `pull_model` would fetch, and its licence. Opens no connection. Raises ModelError."""
    if name not in OFFERS:
        raise ModelError(f"no model {name!r} is offered: give one of {', '.join(OFFERS)}")
    return OFFERS[name]


def measure_offer(name: str, *, endpoint: str | None = None) -> int:
    """Bytes that `pull_model` would fetch, as the hub gives them; it sends no file. Raises ModelError.

    Weights beside an encoder are counted by their names: `X.onnx_data` and `X.onnx.data` belong to `X.onnx`.
    """
    offer = find_offer(name)
    hub = _import_hub()
    with _translate_errors(offer, "asking for"):
        info = hub.HfApi(endpoint=endpoint, token=False).model_info(offer.repository, files_metadata=True)
        sizes = {s.rfilename: s.size or 0 for s in info.siblings or []}
    wanted = {*offer.files, *offer.optional_files}
    wanted |= {f"{file}{end}" for file in offer.files if file.endswith(".onnx") for end in ("_data", ".data")}
    return sum(size for file, size in sizes.items() if file in wanted)


def count_pulled_bytes(name: str, *, to: Path | None = None) -> int:
    """Bytes of a download that goes on, or broke off, in another process; 0 where there is none. Raises ModelError."""
    folder, total = _pulling_folder(to or catalog.models_folder(), find_offer(name).name), 0
    for parent, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):  # renamed meanwhile
                total += os.stat(os.path.join(parent, file)).st_size
    return total


def _pulling_folder(to: Path, name: str) -> Path:
    return to / f".pulling-{name}"


def pull_model(name: str, *, to: Path | None = None, endpoint: str | None = None) -> AddedModel:
    """Fetch a model by its name in OFFERS, and add it. Raises ModelError; then nothing was added.

    endpoint: of the hub; default: HF_ENDPOINT, or the package's own. A failed download keeps its files, and resumes.
    """
    offer, to = find_offer(name), to or catalog.models_folder()
    if name in catalog.list_added(to):
        raise ModelError(f"there is a model {name} already; to replace it, `photosearch models remove {name}` first")
    hub = _import_hub()
    pulled = _read_pulled(to).get(name)
    folder = _pulling_folder(to, name)
    with _translate_errors(offer, "asking for"):
        info = hub.HfApi(endpoint=endpoint, token=False).model_info(
            offer.repository, revision=pulled.revision if pulled else None, files_metadata=True
        )
        published = {s.rfilename: s.lfs.sha256 if s.lfs else None for s in info.siblings or []}
        sizes = {s.rfilename: s.size for s in info.siblings or []}
        revision = str(info.sha)
    if pulled and pulled.revision != revision:
        raise ModelError(f"{name}: the hub gives revision {revision}, but {pulled.revision} was pulled before")
    if missing := [file for file in offer.files if file not in published]:
        raise ModelError(f"{name}: {offer.repository} no longer has {missing[0]}")

    digests: dict[str, str] = {}
    pending = [*offer.files, *(file for file in offer.optional_files if file in published)]
    while pending:
        file = pending.pop(0)
        with _translate_errors(offer, f"fetching {file} of"):
            url = hub.hf_hub_url(offer.repository, file, revision=revision, endpoint=endpoint)
            path = _fetch(url, folder / revision / file, sizes[file])
        digests[file] = _verify(name, path, file, published[file], pulled)
        pending += [more for more in _list_weights(name, path, file, published) if more not in digests]
    if not pulled:
        _write_pulled(to, name, PulledModel(offer.repository, revision, digests))
    source = {"repository": offer.repository, "revision": revision}
    added = add_model(folder / revision, name=name, to=to, licence=offer.licence, source=source)
    shutil.rmtree(folder, ignore_errors=True)
    return added


def _import_hub() -> Any:
    # Read at import: no telemetry, and one simple way to download, which resumes.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    try:
        import huggingface_hub
    except ImportError:
        raise ModelError("fetching models needs huggingface_hub: pip install 'photosearch[pull]'") from None
    return huggingface_hub


def _fetch(url: str, path: Path, size: int | None) -> Path:
    """Fetch a file, or the rest of it: the package's own download keeps no incomplete file for the next run."""
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


@contextlib.contextmanager
def _translate_errors(offer: Offer, action: str) -> Iterator[None]:
    """The hub package's errors -> one line of ours."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"{offer.name}: {action} {offer.repository} failed: {first_line(error)}; "
            f"`photosearch models pull {offer.name}` resumes it"
        ) from None


def _verify(name: str, path: Path, file: str, published: str | None, pulled: PulledModel | None) -> str:
    """The SHA-256 of a downloaded file. Raises ModelError if it isn't the published one or the one pulled before."""
    digest = sha256(path)
    if published is not None and digest != published:
        path.unlink()
        raise ModelError(f"{name}: {file} doesn't match the hub's SHA-256; pull it again")
    if pulled and pulled.files.get(file) != digest:
        path.unlink()
        raise ModelError(f"{name}: {file} is not the file that was pulled before; nothing was added")
    return digest


def _list_weights(name: str, path: Path, file: str, published: Collection[str]) -> list[str]:
    """The further files with an encoder's weights, as the hub names them."""
    if not file.endswith(".onnx"):
        return []
    try:
        with path.open("rb") as encoder:
            names = sorted(list_external_files(encoder))
    except ValueError as error:
        raise ModelError(f"{name}: {file}: {error}") from None
    files = [f"{file.rpartition('/')[0]}/{weights}".lstrip("/") for weights in names]
    for weights, whole in zip(names, files, strict=True):
        if not is_below(weights) or whole not in published:
            raise ModelError(f"{name}: {file} needs weights from {weights[:200]!r}, which the hub doesn't have")
    return files


def _read_pulled(to: Path) -> dict[str, PulledModel]:
    """Name -> what was pulled before. Raises ModelError."""
    path = to / PULLED_FILE
    if not path.exists():
        return {}
    try:
        raw = json.loads(path.read_bytes()) if path.stat().st_size <= MAX_PULLED_BYTES else None
    except (OSError, ValueError, RecursionError):
        raw = None
    if not isinstance(raw, dict) or not all(_is_pulled(record) for record in raw.values()):
        raise ModelError(f"{path}: can't read what was pulled before; delete it to trust the hub again")
    return {name: PulledModel(r.get("repository", ""), r["revision"], r["files"]) for name, r in raw.items()}


def _is_pulled(record: object) -> bool:
    return (
        isinstance(record, dict)
        and isinstance(record.get("repository", ""), str)
        and isinstance(record.get("revision"), str)
        and isinstance(record.get("files"), dict)
        and all(isinstance(digest, str) for digest in record["files"].values())
    )


def _write_pulled(to: Path, name: str, pulled: PulledModel) -> None:
    path = to / PULLED_FILE
    records = {name: asdict(record) for name, record in {**_read_pulled(to), name: pulled}.items()}
    try:
        atomic.write_bytes(path, json.dumps(records, indent=1, sort_keys=True).encode())
    except OSError as error:
        raise ModelError(f"{path}: can't be written: {error.strerror}") from None
