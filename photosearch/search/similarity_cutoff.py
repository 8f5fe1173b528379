"""What a similarity means here: a number like 0.31 says nothing by itself, and each model has its own range.

Two things to hold it against, both as plain arrays:
- the similarities of this query to the library's photos: where does this photo lie among them (`describe`);
- the best similarity that each of many everyday descriptions reaches here (descriptions.txt). A library always has a
  nearest photo, and the more photos, the nearer: so what counts is whether this query's best exceeds what such
  descriptions reach, over the same photos (`least_similar`, `is_similar`).
Many of them do describe what a library shows, so the cut-off lies low among them, at QUANTILE. On 400 of Flickr8k's
development pictures it refuses 5 % of their own captions, and 65 % of 20 questions about what none of them shows; at
0.5 it would be 20 % and 85 % (`python -m train cutoff --data DIR`). How far a query's best stands out
of its own library, in standard deviations above the mean, tells less: 26 % and 45 % at the same quantile.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

QUANTILE = 0.25  # of the descriptions, those whose best lies below the cut-off

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Rank:
    """Where a similarity lies: the share, 0..1, of this library's photos, and of the descriptions, that it exceeds.

    None where there is nothing to compare with.
    """

    among_photos: float | None
    among_descriptions: float | None


def describe(similarity: float, photos: npt.ArrayLike, descriptions: npt.ArrayLike) -> Rank:
    """photos: the query's similarities to this library's photos; descriptions: the best that each description that
    describes nothing here reaches. Both sorted, rising. An equal one counts half, so that a middle one lies at 0.5."""
    return Rank(share_below(similarity, photos), share_below(similarity, descriptions))


def share_below(value: float, background: npt.ArrayLike) -> float | None:
    """The share of a sorted background that lies below a value, its equals counted half; None of nothing."""
    known = np.asarray(background, np.float32)
    if not len(known):
        return None
    same = np.float32(value)  # the background's own precision, or a value would not equal itself
    return float(known.searchsorted(same, "left") + known.searchsorted(same, "right")) / (2 * len(known))


def estimate_cutoff(descriptions: npt.ArrayLike, quantile: float = QUANTILE) -> float | None:
    """The cut-off: what the best photo of a query must exceed, for it to be similar enough to be shown.

    descriptions: as in `describe`, sorted. It is one of them, the ceil(quantile (n + 1))-th from below: of further
    descriptions like these, a share of at most 1 - quantile exceeds it. None where there are too few to say so.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"a quantile lies between 0 and 1: {quantile}")
    known = np.asarray(descriptions, np.float32)
    place = int(np.ceil(round(quantile * (len(known) + 1), 9)))
    return float(known[place - 1]) if place <= len(known) else None


def is_similar(best: float, descriptions: npt.ArrayLike, quantile: float = QUANTILE) -> bool:
    """Whether a query's best similarity says that the library shows what was asked for; True where nobody can say."""
    cut_off = estimate_cutoff(descriptions, quantile)
    return cut_off is None or bool(np.float32(best) > cut_off)
