"""The layouts in which people publish two towers: which files there are, and what their settings mean.

    transformers.js   onnx/vision_model.onnx, onnx/text_model.onnx, tokenizer.json,
                      preprocessor_config.json, config.json
    immich            visual/{model.onnx, preprocess_cfg.json}, config.json,
                      textual/{model.onnx, tokenizer.json, tokenizer_config.json, ...}
    rclip             visual.onnx, textual.onnx, in the folder or one below it, and
                      tokenizer.json or CLIP's own list of pairs, tokenizer/bpe_simple_vocab_16e6.txt.gz

Only names and settings: no graph is opened here. Every file is hostile input.
"""

import gzip
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photosearch.errors import ModelError, first_line
from photosearch.models.card import TextNormalization

PRECISIONS = ("", "_fp16", "_quantized", "_int8", "_uint8", "_q4f16", "_q4", "_bnb4")  # transformers.js: best first
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)  # of OpenAI's CLIP, and of most that follow it
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)
CLIP_SIZE, RCLIP_SIZE, CLIP_CONTEXT, SIGLIP_CONTEXT = 224, 256, 77, 64
CLIP_VOCABULARY = "tokenizer/bpe_simple_vocab_16e6.txt.gz"
MAX_CONTEXT = 4096  # tokenizer_config.json says 1e30 where nobody filled it in
MAX_SETTINGS_BYTES = 2**24
# CLIP's list: how many pairs it uses (the file holds five times as many), and what a word is cut into before that.
CLIP_PAIRS = 49152 - 256 - 2
CLIP_MARKS = ("<|startoftext|>", "<|endoftext|>")
CLIP_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of files below a folder, and the settings that were read. words: of the tokenizer."""

    folder: Path
    layout: str
    image: str
    text: str
    tokenizer: str
    config: Mapping[str, Any]
    pixels: Mapping[str, Any]
    words: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pixels:
    """How a photo is prepared: resized to `resize` by its shorter side ("crop") or both ("squash"), cut to `size`."""

    resize: int
    size: int
    fit: Any
    scale: float
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]


# ---- finding the files


def find_layout(folder: Path) -> Layout:
    """Raises ModelError where a file is missing, in words that say which."""
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder" if not folder.exists() else f"{folder}: is not a folder")
    for below in ("onnx/", ""):
        image = _first(folder, [f"{below}vision_model{p}.onnx" for p in PRECISIONS])
        text = _first(folder, [f"{below}text_model{p}.onnx" for p in PRECISIONS])
        if image or text:
            _both(folder, image, text, f"{below}vision_model.onnx", f"{below}text_model.onnx")
            pixels = _settings(folder, "preprocessor_config.json")
            return _found(folder, "transformers.js", image, text, "", pixels)
    image, text = (_first(folder, [f"{side}/model.onnx"]) for side in ("visual", "textual"))
    if image or text:
        _both(folder, image, text, "visual/model.onnx", "textual/model.onnx")
        pixels = _settings(folder, "visual/preprocess_cfg.json")
        return _found(folder, "immich", image, text, "textual/", pixels)
    for below in ("", *sorted(f"{path.parent.name}/" for path in folder.glob("*/visual.onnx"))):
        image, text = (_first(folder, [f"{below}{side}.onnx"]) for side in ("visual", "textual"))
        if image or text:
            _both(folder, image, text, f"{below}visual.onnx", f"{below}textual.onnx")
            return _found(folder, "rclip", image, text, "", {})
    raise ModelError(
        f"{folder}: holds no two towers: onnx/vision_model.onnx and onnx/text_model.onnx, "
        "visual/model.onnx and textual/model.onnx, or visual.onnx and textual.onnx"
    )


def _found(folder: Path, layout: str, image: str, text: str, words: str, pixels: Mapping[str, Any]) -> Layout:
    """words: the folder of the tokenizer, with a slash, or nothing."""
    tokenizer = f"{words}tokenizer.json"
    if layout == "rclip" and not (folder / tokenizer).is_file() and (folder / CLIP_VOCABULARY).is_file():
        tokenizer = CLIP_VOCABULARY
    if not (folder / tokenizer).is_file():
        raise ModelError(f"{folder}: lacks {tokenizer}; put there the one that the model was made with")
    names = ("special_tokens_map.json", "tokenizer_config.json")
    settings = [_settings(folder, f"{words}{name}", needed=False) for name in names]
    config = _settings(folder, "config.json", needed=layout != "rclip")
    return Layout(folder, layout, image, text, tokenizer, config, pixels, {**settings[0], **settings[1]})


def _first(folder: Path, names: Sequence[str]) -> str:
    return next((name for name in names if (folder / name).is_file()), "")


def _both(folder: Path, image: str, text: str, image_name: str, text_name: str) -> None:
    if not (image and text):
        raise ModelError(f"{folder}: has {image or text}, but lacks {text_name if image else image_name}")


def _settings(folder: Path, name: str, *, needed: bool = True) -> dict[str, Any]:
    path = folder / name
    if not path.is_file():
        if needed:
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


# ---- how a photo is prepared


def read_pixels(found: Layout, shape: Sequence[Any]) -> Pixels:
    """shape: of the graph's input. Raises ModelError."""
    try:
        if found.layout == "transformers.js":
            return _read_transformers(found.pixels)
        if found.layout == "immich":
            return _read_immich(found.pixels)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{found.folder}: can't use its settings for photos: {first_line(error)}") from None
    sides = [d for d in shape if isinstance(d, int) and d > 3]
    size = sides[0] if sides else RCLIP_SIZE
    return Pixels(size, size, "crop", 1 / 255, CLIP_MEAN, CLIP_DEVIATION)


def _read_transformers(settings: Mapping[str, Any]) -> Pixels:
    """preprocessor_config.json; https://github.com/huggingface/transformers.js says what its fields mean."""
    size, crop = settings.get("size", CLIP_SIZE), settings.get("crop_size")
    cuts = settings.get("do_center_crop", crop is not None)
    squashes = isinstance(size, dict) and "shortest_edge" not in size
    resize = _side(size)
    own = _side(crop) if cuts and crop is not None else resize
    fit = "squash" if squashes or not (cuts or isinstance(size, dict)) else "crop"
    if fit == "squash":
        own = resize
    scale = settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale", True) else 1.0
    normal = settings.get("do_normalize", True)
    mean = _three(settings.get("image_mean", CLIP_MEAN)) if normal else (0.0, 0.0, 0.0)
    deviation = _three(settings.get("image_std", CLIP_DEVIATION)) if normal else (1.0, 1.0, 1.0)
    return _pixels(resize, own, fit, float(scale), mean, deviation)


def _read_immich(settings: Mapping[str, Any]) -> Pixels:
    """preprocess_cfg.json, as open_clip writes it."""
    mode = settings.get("resize_mode", "shortest")
    if mode not in ("shortest", "squash"):
        raise ValueError(f"resize_mode is {mode!r}, not shortest or squash")
    size = settings.get("size", CLIP_SIZE)
    side = _side({"height": size[0], "width": size[-1]} if isinstance(size, list) and size else size)
    mean, deviation = _three(settings.get("mean", CLIP_MEAN)), _three(settings.get("std", CLIP_DEVIATION))
    return _pixels(side, side, "squash" if mode == "squash" else "crop", 1 / 255, mean, deviation)


def _pixels(resize: int, size: int, fit: str, scale: float, mean: Any, deviation: Any) -> Pixels:
    if size > resize:
        raise ValueError(f"it cuts {size} pixels out of {resize}")
    if 0 in deviation or not 0 < scale <= 1:
        raise ValueError("it divides by zero" if 0 in deviation else "its rescale_factor is not in 0..1")
    return Pixels(resize, size, fit, scale, mean, deviation)


def _side(size: Any) -> int:
    """A square's side, in the three ways to write one."""
    if isinstance(size, dict):
        sides = {size.get(key) for key in ("shortest_edge", "height", "width") if key in size}
        if len(sides) != 1:
            raise ValueError(f"size must be a square: {size}"[:200])
        (size,) = sides
    if type(size) is not int or not 1 <= size <= 4096:
        raise ValueError(f"size must be 1 to 4096: {size!r}"[:200])
    return size


def _three(values: Any) -> tuple[float, float, float]:
    if not isinstance(values, list | tuple) or len(values) != 3 or not all(_is_number(v) for v in values):
        raise ValueError(f"mean and deviation must be three numbers: {values!r}"[:200])
    return float(values[0]), float(values[1]), float(values[2])


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e6 <= value <= 1e6


# ---- how a text is prepared


def _part(settings: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = settings.get(key)
    return part if isinstance(part, dict) else {}


def _text_settings(found: Layout) -> Mapping[str, Any]:
    """transformers.js says `text_config`, open_clip, which immich follows, `text_cfg`."""
    return {**_part(found.config, "text_cfg"), **_part(found.config, "text_config")}


def is_siglip(found: Layout) -> bool:
    said = (found.config.get("model_type"), _text_settings(found).get("hf_tokenizer_name"),
            found.words.get("tokenizer_class"))  # fmt: skip
    return any("siglip" in str(x).lower() for x in said)


def read_context(found: Layout, siglip: bool) -> int:
    text = _text_settings(found)
    said = (text.get("context_length"), text.get("max_position_embeddings"), found.words.get("model_max_length"))
    usable = (n for n in said if type(n) is int and 1 <= n <= MAX_CONTEXT)
    return next(usable, SIGLIP_CONTEXT if siglip else CLIP_CONTEXT)


def read_normalization(found: Layout, siglip: bool) -> TextNormalization:
    clean = _part(_text_settings(found), "tokenizer_kwargs").get("clean")
    if clean == "canonicalize" or str(found.words.get("tokenizer_class")).startswith("SiglipTokenizer"):
        return "canonical"
    # SigLIP2 was taught with lower case; its tokenizer is Gemma's, which keeps capitals.
    gemma = siglip and "gemma" in str(found.words.get("tokenizer_class")).lower()
    return "lower" if clean == "lower" or found.words.get("do_lower_case") is True or gemma else "spaces"


def read_pad_id(found: Layout, tokenizer: Any, siglip: bool) -> int:
    """Raises ModelError where it matters and is not said."""
    token = found.words.get("pad_token")
    token = token.get("content") if isinstance(token, dict) else token
    said = isinstance(token, str) and token.isprintable()
    number = tokenizer.token_to_id(token) if said else _text_settings(found).get("pad_token_id")
    if type(number) is int and number >= 0:
        return number
    if siglip:
        raise ModelError(f"{found.folder}: its tokenizer doesn't say its pad_token, and SigLIP reads the padding too")
    return 0


def check_vocabulary(found: Layout, tokenizer: Any) -> None:
    """Raises ModelError where the tokenizer is plainly another model's."""
    said, size = _text_settings(found).get("vocab_size"), tokenizer.get_vocab_size()
    if type(said) is int and not 0.98 * said <= size <= said:
        what = f"it knows {size:,} tokens and the text tower {said:,}"
        raise ModelError(f"{found.folder / found.tokenizer}: is another model's, {what}")


def build_clip_tokenizer(path: Path) -> str:
    """CLIP's list of pairs, best first, one a line after a first line -> the same as a tokenizer's file.

    The pairs and the way to cut are OpenAI's (https://github.com/openai/CLIP, clip/simple_tokenizer.py). A token is a
    byte, a byte that ends a word, a pair joined, or one of two marks around a text: 49,408 of them. Raises ModelError.
    """
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors

    try:
        with gzip.open(path) as file:
            lines = file.read(MAX_SETTINGS_BYTES).decode().split("\n")
        merges = [(first, second) for first, second in (line.split() for line in lines[1 : CLIP_PAIRS + 1] if line)]
        letters = _byte_letters()
        tokens = [*letters, *(f"{x}</w>" for x in letters), *(a + b for a, b in merges), *CLIP_MARKS]
        vocabulary = {token: i for i, token in enumerate(tokens)}
        tokenizer = tokenizers.Tokenizer(
            models.BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token=CLIP_MARKS[1])
        )
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ModelError(f"{path}: is not CLIP's list of pairs: {first_line(error)}") from None
    tokenizer.add_special_tokens(list(CLIP_MARKS))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(tokenizers.Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(tokenizers.Regex(CLIP_WORDS), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    begin, end = ((mark, vocabulary[mark]) for mark in CLIP_MARKS)
    tokenizer.post_processor = processors.RobertaProcessing(end, begin, add_prefix_space=False, trim_offsets=False)
    text: str = tokenizer.to_str()
    return text


def _byte_letters() -> list[str]:
    """A letter for each byte: itself where it is printed, else one from U+0100 on. In CLIP's order."""
    printed = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printed]
    return [chr(byte) for byte in printed] + [chr(256 + i) for i in range(len(others))]
