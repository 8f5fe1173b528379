"""Whether two pictures show the same text: what neither a fingerprint nor a model's vector can tell.

A page, a receipt, a slide or a screenshot is mostly one pale or dark level, with letters on it. Two with the same
layout are compared in small squares: those that hold ink must correlate (normalised cross-correlation, Lewis, "Fast
Template Matching", 1995). Where most don't, one may be a crop of the other or a shot from a little aside: then squares
are looked up nearby, and the second is aligned with the first by the affine map that fits most of them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = 256  # pixels on a side of the grey copies that are compared
SQUARE = 16  # pixels on a side of the squares
# A picture of text: this share of its pixels lies within LEVELS of its commonest grey level, which is pale or dark, and
# so many of its squares, and of those with ink, hold letters. 4 of 1,500 of Flickr8k's photographs are such, and 5 % of
# Caltech-101's, many of which are drawings.
BACKGROUND, LEVELS, PALE, DARK = 0.5, 12, 190, 75
CONTRAST = 40  # grey levels between ink and background
MIN_CHANGES = 24  # from ink to background or back along the rows of a square: an edge has 16
MIN_LETTERS, MIN_LETTERS_OF_INK = 0.04, 0.35
MIN_INK, FILLED, MAX_FILLED = 0.03, 0.7, 0.2  # a square's ink; from FILLED on it is a body's, and few squares are
MIN_DEVIATION = 12.0  # grey levels; a square with less shows nothing
# Correlation from which a square shows the same, and the share of squares that may show something else: of a picture
# encoded or scaled anew, the least of 190 squares has 0.88; of pages with other words, 8 % have less than 0.6. Where
# nine tenths are EQUAL, all must be NEARLY_EQUAL: one price or line stands out.
SAME, MAX_OTHER = 0.7, 0.005
EQUAL, NEARLY_EQUAL = 0.99, 0.9
SAME_ALIGNED, MAX_OTHER_ALIGNED = 0.6, 0.03  # what was aligned has been resampled, and may be a shot of its own
# (how many times smaller, pixels by which a square may have moved): first by 9 % of the picture, then more exactly.
SHIFTS = ((2, 12), (1, 3))
MIN_MATCHES = 8  # squares that a map is fitted to
MAX_LOOKED_UP = 40  # squares: some 10 ms
MIN_MOVE = 1.0  # pixels by which a map moves a corner
MAX_ERROR = 1.5  # pixels between a square's place and that by the map

Grey = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Affine = npt.NDArray[np.float64]  # [3, 3], of (x, y, 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """grey: [SIZE, SIZE], the whole picture. side: the shorter side of its file in pixels: the detail that it holds.

    is_text: whether it is mostly one pale or dark level, with letters on it.
    """

    grey: Grey
    side: int
    is_text: bool


def make_picture(view: npt.NDArray[np.uint8], width: int, height: int) -> Picture:
    """view: [SIZE, SIZE, 3], RGB. width, height: of the picture's file, in pixels."""
    grey = np.asarray(Image.fromarray(view).convert("L"))
    return Picture(grey, min(width, height), _is_text(grey))


def show_same(a: Picture, b: Picture) -> bool:
    """Whether two pictures that are alike but for their detail show the same text; True where neither shows text.

    What lies beyond the edge of a crop doesn't count.
    """
    if not (a.is_text or b.is_text):  # in a copy of few pixels, letters are grey
        return True
    side = min(a.side, b.side)
    first, second = _reduce(a.grey, side), _reduce(b.grey, side)
    if _measure_other(first, second, np.ones((SIZE, SIZE), np.bool_), SAME) <= MAX_OTHER:
        return True
    affine = _align(first, second)
    if affine is None or not _moves(affine):  # two pages of one template are aligned already
        return False
    inside = _warp(np.ones_like(second), affine) > 0.99
    return _measure_other(first, _warp(second, affine), inside, SAME_ALIGNED) <= MAX_OTHER_ALIGNED


def _is_text(grey: Grey) -> bool:
    counts = np.bincount(grey.ravel(), minlength=256)
    near = np.convolve(counts, np.ones(2 * LEVELS + 1, np.intp), "same")
    level = int(near.argmax())
    if near[level] < BACKGROUND * grey.size or DARK < level < PALE:
        return False
    ink = _cut(np.abs(grey.astype(np.int16) - level) > CONTRAST)
    share = ink.mean(1)
    changes = (ink[:, 1:] != ink[:, :-1]).reshape(len(ink), -1)
    changes[:, SQUARE - 1 :: SQUARE] = False  # from the end of a row to the next
    letters = int(((changes.sum(1) >= MIN_CHANGES) & (share < FILLED)).sum())
    inked = int((share > MIN_INK).sum())
    filled = float((share >= FILLED).mean())
    return filled <= MAX_FILLED and letters >= max(MIN_LETTERS * len(ink), MIN_LETTERS_OF_INK * inked)


def _reduce(grey: Grey, side: int) -> Floats:
    """To the detail that a picture of `side` pixels holds."""
    if side < SIZE:
        small = Image.fromarray(grey).resize((side, side), Image.Resampling.BOX)
        grey = np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    return grey.astype(np.float32)


def _measure_other(a: Floats, b: Floats, inside: Flags, same: float) -> float:
    """The share of the squares with ink in either that correlate by less than `same`; 1 where there are none."""
    first, second = _cut(a), _cut(b)
    inked = _cut(inside).all(1) & ((first.std(1) > MIN_DEVIATION) | (second.std(1) > MIN_DEVIATION))
    alike = np.vecdot(_normalise(first[inked]), _normalise(second[inked]))
    if not len(alike):
        return 1.0
    return float((alike < (NEARLY_EQUAL if np.quantile(alike, 0.1) >= EQUAL else same)).mean())


def _align(a: Floats, b: Floats) -> Affine | None:
    """The map from a place in a to that in b; None where few squares agree on one."""
    affine: Affine = np.eye(3)
    for scale, shift in SHIFTS:
        step = _find_shift(_shrink(a, scale), _shrink(_warp(b, affine), scale), shift)
        if step is None:
            return None
        affine = affine @ np.diag([scale, scale, 1]) @ step @ np.diag([1 / scale, 1 / scale, 1])
    return affine


def _moves(affine: Affine) -> bool:
    """Whether a map moves a corner of the picture by MIN_MOVE pixels or more."""
    corners = np.array([(0, 0, 1), (SIZE, 0, 1), (0, SIZE, 1), (SIZE, SIZE, 1)], np.float64)
    moved: float = np.abs(corners @ affine.T - corners).max()
    return moved >= MIN_MOVE


def _find_shift(a: Floats, b: Floats, shift: int) -> Affine | None:
    """The same, by squares that moved by up to `shift` pixels."""
    squares = _cut(a)
    corners = np.stack(np.divmod(np.arange(len(squares)), len(a) // SQUARE), 1) * SQUARE
    inked = np.flatnonzero(squares.std(1) > MIN_DEVIATION)
    inked = inked[:: -(-len(inked) // MAX_LOOKED_UP) or 1]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(b, shift, mode="edge"), (SQUARE, SQUARE))
    span = 2 * shift + 1
    places, to = [], []
    for square, (top, left) in zip(_normalise(squares[inked]), corners[inked].tolist(), strict=True):
        alike = _normalise(windows[top : top + span, left : left + span].reshape(span**2, -1)) @ square
        down, right = divmod(int(alike.argmax()), span)
        if alike.max() >= SAME_ALIGNED:
            x, y = left + SQUARE / 2, top + SQUARE / 2
            places.append((x, y, 1.0))
            to.append((x + right - shift, y + down - shift, 1.0))
    return _fit(np.array(places).reshape(-1, 3), np.array(to).reshape(-1, 3))


def _fit(places: npt.NDArray[Any], to: npt.NDArray[Any]) -> Affine | None:
    """Least squares over places [n, 3], without those that are farthest from the map until the rest agrees."""
    while len(places) >= MIN_MATCHES:
        affine: npt.NDArray[Any] = np.linalg.lstsq(places, to, rcond=None)[0]
        error = np.linalg.norm(places @ affine - to, axis=1)
        if error.max() <= MAX_ERROR:
            fitted: Affine = affine.T
            return fitted
        keep = error < max(MAX_ERROR, float(np.quantile(error, 0.8)))
        places, to = places[keep], to[keep]
    return None


def _shrink(image: Floats, scale: int) -> Floats:
    n = SIZE // scale
    small: Floats = image.reshape(n, scale, n, scale).mean((1, 3))
    return small


def _warp(image: Floats, affine: Affine) -> Floats:
    """What lies at affine @ (x, y, 1) comes to (x, y); what lies beyond the edge is 0."""
    numbers = tuple(affine[:2].ravel().tolist())
    warped = Image.fromarray(image).transform(image.shape, Image.Transform.AFFINE, numbers, Image.Resampling.BICUBIC)
    return np.asarray(warped, np.float32)


def _cut(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[side, side] -> its squares, row by row, [n, SQUARE * SQUARE]."""
    n = len(image) // SQUARE
    return image.reshape(n, SQUARE, n, SQUARE).swapaxes(1, 2).reshape(n * n, -1)


def _normalise(squares: Floats) -> Floats:
    """Zero mean and unit length, so that a product is a correlation; what is flat becomes nearly zero."""
    squares = squares - squares.mean(1, keepdims=True)
    normalised: Floats = squares / np.maximum(np.linalg.norm(squares, axis=1, keepdims=True), 1.0)
    return normalised
