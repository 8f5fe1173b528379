"""The layouts in which people publish two-tower models: their files, and what their settings mean.

    transformers.js   onnx/vision_model.onnx, onnx/text_model.onnx, tokenizer.json,
                      preprocessor_config.json, config.json
    immich            visual/{model.onnx, preprocess_cfg.json}, config.json,
                      textual/{model.onnx, tokenizer.json, tokenizer_config.json, ...}
    rclip             visual.onnx, textual.onnx, in the folder or one below it, and
                      tokenizer.json or CLIP's own list of pairs, tokenizer/bpe_simple_vocab_16e6.txt.gz

Only names and settings: no graph is opened. Every file is hostile input.
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photosearch.errors import ModelError, first_line
from photosearch.models.card import TextNormalization

if TYPE_CHECKING:
    from photosearch.photos.decode import Fit

PRECISIONS = ("", "_fp16", "_quantized", "_int8", "_uint8", "_q4f16", "_q4", "_bnb4")  # transformers.js: best first
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of OpenAI's CLIP, and of most models derived from it
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
CLIP_SIZE, RCLIP_SIZE, CLIP_CONTEXT, SIGLIP_CONTEXT = 224, 256, 77, 64
CLIP_VOCABULARY = "tokenizer/bpe_simple_vocab_16e6.txt.gz"
MAX_CONTEXT = 4096  # an unset model_max_length is 1e30
MAX_SETTINGS_BYTES = 2**24
# CLIP's byte pair encoding: the number of merges (the file has five times as many), and how a text is split into words.
CLIP_MERGES = 49152 - 256 - 2
CLIP_SPECIAL_TOKENS = ("<|startoftext|>", "<|endoftext|>")
CLIP_WORD = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


Settings = Mapping[str, object]  # of a JSON file, unchecked


@dataclass(frozen=True, slots=True)
class Layout:
    """A published model's files, relative to its folder, and its settings."""

    folder: Path
    name: str
    image: str
    text: str
    tokenizer: str
    config: Settings
    image_settings: Settings
    tokenizer_settings: Settings


@dataclass(frozen=True, slots=True)
class ImagePreprocessing:
    """Resizing to `resize` by the shorter side ("crop") or both ("squash"), then a centre crop to `size`."""

    resize: int
    size: int
    fit: "Fit"
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


# ---- finding the files


def find_layout(folder: Path) -> Layout:
    """Raises ModelError, which names a missing file."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder" if not folder.exists() else f"{folder}: is not a folder")
    for subfolder in ("onnx/", ""):
        image = _find_first(folder, [f"{subfolder}vision_model{p}.onnx" for p in PRECISIONS])
        text = _find_first(folder, [f"{subfolder}text_model{p}.onnx" for p in PRECISIONS])
        if image or text:
            _require_both(folder, image, text, f"{subfolder}vision_model.onnx", f"{subfolder}text_model.onnx")
            settings = _read_settings(folder, "preprocessor_config.json")
            return _read_layout(folder, "transformers.js", image, text, "", settings)
    image, text = (_find_first(folder, [f"{side}/model.onnx"]) for side in ("visual", "textual"))
    if image or text:
        _require_both(folder, image, text, "visual/model.onnx", "textual/model.onnx")
        settings = _read_settings(folder, "visual/preprocess_cfg.json")
        return _read_layout(folder, "immich", image, text, "textual/", settings)
    for subfolder in ("", *sorted(f"{path.parent.name}/" for path in folder.glob("*/visual.onnx"))):
        image, text = (_find_first(folder, [f"{subfolder}{side}.onnx"]) for side in ("visual", "textual"))
        if image or text:
            _require_both(folder, image, text, f"{subfolder}visual.onnx", f"{subfolder}textual.onnx")
            return _read_layout(folder, "rclip", image, text, "", {})
    raise ModelError(
        f"{folder}: has no two-tower model: onnx/vision_model.onnx and onnx/text_model.onnx, "
        "visual/model.onnx and textual/model.onnx, or visual.onnx and textual.onnx"
    )


def _read_layout(folder: Path, name: str, image: str, text: str, subfolder: str, image_settings: Settings) -> Layout:
    """subfolder: of the tokenizer, with a slash, or empty."""
    tokenizer = f"{subfolder}tokenizer.json"
    if name == "rclip" and not (folder / tokenizer).is_file() and (folder / CLIP_VOCABULARY).is_file():
        tokenizer = CLIP_VOCABULARY
    if not (folder / tokenizer).is_file():
        raise ModelError(f"{folder}: lacks {tokenizer}; copy the model's own tokenizer there")
    special_tokens, settings = (
        _read_settings(folder, f"{subfolder}{file}", required=False)
        for file in ("special_tokens_map.json", "tokenizer_config.json")
    )
    config = _read_settings(folder, "config.json", required=name != "rclip")
    return Layout(folder, name, image, text, tokenizer, config, image_settings, {**special_tokens, **settings})


def _find_first(folder: Path, names: Sequence[str]) -> str:
    return next((name for name in names if (folder / name).is_file()), "")


def _require_both(folder: Path, image: str, text: str, image_name: str, text_name: str) -> None:
    if not (image and text):
        raise ModelError(f"{folder}: has {image or text}, but lacks {text_name if image else image_name}")


def _read_settings(folder: Path, name: str, *, required: bool = True) -> Settings:
    path = folder / name
    if not path.is_file():
        if required:
            raise ModelError(f"{folder}: lacks {name}")
        return {}
    try:
        if path.stat().st_size > MAX_SETTINGS_BYTES:
            raise ModelError(f"{path}: is too long for settings")
        settings = json.loads(path.read_bytes())
    except OSError as error:
        raise ModelError(f"{path}: can't read these settings: {error.strerror}") from None
    except (ValueError, RecursionError):
        settings = None
    if not isinstance(settings, dict):
        raise ModelError(f"{path}: is not a JSON object")
    return settings


# ---- how an image is preprocessed


def read_preprocessing(layout: Layout, input_shape: Sequence[object]) -> ImagePreprocessing:
    """input_shape: of the image encoder's graph. Raises ModelError."""
    try:
        if layout.name == "transformers.js":
            return _read_transformers(layout.image_settings)
        if layout.name == "immich":
            return _read_open_clip(layout.image_settings)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{layout.folder}: can't use its image settings: {first_line(error)}") from None
    sides = [d for d in input_shape if isinstance(d, int) and d > 3]
    size = sides[0] if sides else RCLIP_SIZE
    return ImagePreprocessing(size, size, "crop", 1 / 255, CLIP_MEAN, CLIP_STD)


def _read_transformers(settings: Settings) -> ImagePreprocessing:
    """preprocessor_config.json; its fields: https://github.com/huggingface/transformers.js"""
    size, crop = settings.get("size", CLIP_SIZE), settings.get("crop_size")
    crops = settings.get("do_center_crop", crop is not None)
    squashes = isinstance(size, dict) and "shortest_edge" not in size
    resize = _read_side(size)
    cropped = _read_side(crop) if crops and crop is not None else resize
    fit: Fit = "squash" if squashes or not (crops or isinstance(size, dict)) else "crop"
    if fit == "squash":
        cropped = resize
    scale = _read_number(settings.get("rescale_factor", 1 / 255)) if settings.get("do_rescale", True) else 1.0
    normalizes = settings.get("do_normalize", True)
    mean = _read_rgb(settings.get("image_mean", CLIP_MEAN)) if normalizes else (0.0, 0.0, 0.0)
    std = _read_rgb(settings.get("image_std", CLIP_STD)) if normalizes else (1.0, 1.0, 1.0)
    return _check_preprocessing(ImagePreprocessing(resize, cropped, fit, scale, mean, std))


def _read_open_clip(settings: Settings) -> ImagePreprocessing:
    """preprocess_cfg.json, which immich copies from open_clip."""
    mode = settings.get("resize_mode", "shortest")
    if mode not in ("shortest", "squash"):
        raise ValueError(f"resize_mode is {mode!r}, not shortest or squash")
    size = settings.get("size", CLIP_SIZE)
    side = _read_side({"height": size[0], "width": size[-1]} if isinstance(size, list) and size else size)
    mean, std = _read_rgb(settings.get("mean", CLIP_MEAN)), _read_rgb(settings.get("std", CLIP_STD))
    fit: Fit = "squash" if mode == "squash" else "crop"
    return _check_preprocessing(ImagePreprocessing(side, side, fit, 1 / 255, mean, std))


def _check_preprocessing(how: ImagePreprocessing) -> ImagePreprocessing:
    if how.size > how.resize:
        raise ValueError(f"it cuts {how.size} pixels out of {how.resize}")
    if 0 in how.std:
        raise ValueError("it divides by zero")
    if not 0 < how.scale <= 1:
        raise ValueError("its rescale_factor is not in 0..1")
    return how


def _read_side(size: Any) -> int:
    """A square's side, in any of the three ways to write one."""
    if isinstance(size, dict):
        sides = [size[key] for key in ("shortest_edge", "height", "width") if key in size]
        if not sides or any(side != sides[0] for side in sides):
            raise ValueError(f"size must be a square: {size}"[:200])
        size = sides[0]
    if type(size) is not int or not 1 <= size <= 4096:
        raise ValueError(f"size must be 1 to 4096: {size!r}"[:200])
    return size


def _read_rgb(values: Any) -> tuple[float, float, float]:
    if not isinstance(values, list | tuple) or len(values) != 3 or not all(_is_number(v) for v in values):
        raise ValueError(f"mean and std must be three numbers: {values!r}"[:200])
    return float(values[0]), float(values[1]), float(values[2])


def _read_number(value: object) -> float:
    if not _is_number(value):
        raise ValueError(f"rescale_factor must be a number: {value!r}"[:200])
    assert isinstance(value, int | float)
    return float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e6 <= value <= 1e6


# ---- how a text is preprocessed


def _get_dict(settings: Settings, key: str) -> Settings:
    value = settings.get(key)
    return value if isinstance(value, dict) else {}


def _get_text_config(layout: Layout) -> Settings:
    """`text_config` in transformers.js, `text_cfg` in open_clip and immich."""
    return {**_get_dict(layout.config, "text_cfg"), **_get_dict(layout.config, "text_config")}


def is_siglip(layout: Layout) -> bool:
    names = (layout.config.get("model_type"), _get_text_config(layout).get("hf_tokenizer_name"),
             layout.tokenizer_settings.get("tokenizer_class"))  # fmt: skip
    return any("siglip" in str(name).lower() for name in names)


def read_context(layout: Layout, siglip: bool) -> int:
    """The maximum number of tokens."""
    config = _get_text_config(layout)
    lengths = (config.get("context_length"), config.get("max_position_embeddings"),
               layout.tokenizer_settings.get("model_max_length"))  # fmt: skip
    valid = (n for n in lengths if type(n) is int and 1 <= n <= MAX_CONTEXT)
    return next(valid, SIGLIP_CONTEXT if siglip else CLIP_CONTEXT)


def read_normalization(layout: Layout, siglip: bool) -> TextNormalization:
    clean = _get_dict(_get_text_config(layout), "tokenizer_kwargs").get("clean")
    tokenizer_class = str(layout.tokenizer_settings.get("tokenizer_class"))
    if clean == "canonicalize" or tokenizer_class.startswith("SiglipTokenizer"):
        return "canonical"
    # SigLIP2 was trained on lower case; its tokenizer is Gemma's, which keeps capitals.
    gemma = siglip and "gemma" in tokenizer_class.lower()
    lower = clean == "lower" or layout.tokenizer_settings.get("do_lower_case") is True or gemma
    return "lower" if lower else "spaces"


def read_pad_id(layout: Layout, tokenizer: Any, siglip: bool) -> int:
    """Raises ModelError if it matters and is not given."""
    token = layout.tokenizer_settings.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    is_given = isinstance(token, str) and token.isprintable()
    pad_id = tokenizer.token_to_id(token) if is_given else _get_text_config(layout).get("pad_token_id")
    if type(pad_id) is int and pad_id >= 0:
        return pad_id
    if siglip:
        raise ModelError(f"{layout.folder}: its tokenizer has no pad_token, and SigLIP reads the padding too")
    return 0


def check_vocabulary(layout: Layout, tokenizer: Any) -> None:
    """Raises ModelError if the tokenizer is obviously another model's."""
    expected, size = _get_text_config(layout).get("vocab_size"), tokenizer.get_vocab_size()
    if type(expected) is int and not 0.98 * expected <= size <= expected:
        path = layout.folder / layout.tokenizer
        raise ModelError(f"{path}: is another model's: it has {size:,} tokens, the text encoder expects {expected:,}")


def build_clip_tokenizer(path: Path) -> str:
    """CLIP's list of merges, best first, one per line after a header -> JSON of the package `tokenizers`.

    Merges and word pattern are OpenAI's (https://github.com/openai/CLIP, clip/simple_tokenizer.py). A token is a byte,
    a byte at a word's end, a merged pair, or one of two special tokens around a text: 49,408 in all. Raises ModelError.
    """
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors

    try:
        with gzip.open(path) as file:
            lines = file.read(MAX_SETTINGS_BYTES).decode().split("\n")
        merges = [(first, second) for first, second in (line.split() for line in lines[1 : CLIP_MERGES + 1] if line)]
        letters = _list_byte_letters()
        tokens = [*letters, *(f"{x}</w>" for x in letters), *(a + b for a, b in merges), *CLIP_SPECIAL_TOKENS]
        vocabulary = {token: i for i, token in enumerate(tokens)}
        tokenizer = tokenizers.Tokenizer(
            models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token=CLIP_SPECIAL_TOKENS[1])
        )
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ModelError(f"{path}: is not CLIP's list of merges: {first_line(error)}") from None
    tokenizer.add_special_tokens(list(CLIP_SPECIAL_TOKENS))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(tokenizers.Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(CLIP_WORD), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    begin, end = ((token, vocabulary[token]) for token in CLIP_SPECIAL_TOKENS)
    tokenizer.post_processor = processors.RobertaProcessing(end, begin, add_prefix_space=False, trim_offsets=False)
    text: str = tokenizer.to_str()
    return text


def _list_byte_letters() -> list[str]:
    """A letter for each byte: itself if it is printable, else one from U+0100 on. In CLIP's order."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(len(others))]
