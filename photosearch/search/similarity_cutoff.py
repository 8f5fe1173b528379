"""From which similarity on a photo counts as similar enough: a number like 0.31 says nothing by itself.

Each model has its own range, and a library always has a nearest photo: the more photos, the nearer. So a question's
best similarity is compared with the best that each of many everyday descriptions (descriptions.txt) reaches over the
same photos. Many of them do describe what a library shows, so the cut-off lies low among them, at QUANTILE. On 400 of
Flickr8k's development pictures it refuses 5 % of their own captions, and 65 % of 20 questions about what none of them
shows; at 0.5 it would be 20 % and 85 % (`python -m train cutoff --data DIR`). How far a question's best
stands out of its own library, in standard deviations above the mean, separates less: 26 % and 45 % at this quantile.

Pure: arrays in, numbers out. similar.py measures the descriptions.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

QUANTILE = 0.25  # share of the descriptions whose best similarity lies below the cut-off

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SimilarityCutoff:
    """What a question's similarities mean in this library. best: the highest. photos: all photos' similarities, rising.

    descriptions: the best similarity of each everyday description, rising; too few of them give no cut-off.
    """

    best: float
    photos: Floats
    descriptions: Floats

    @property
    def value(self) -> float | None:
        """The similarity that a photo must exceed; None where there are too few descriptions to say."""
        return estimate_cutoff(self.descriptions)

    @property
    def median(self) -> float:
        """The middle one of the photos' similarities; NaN without photos."""
        return float(self.photos[len(self.photos) // 2]) if len(self.photos) else float("nan")

    @property
    def share_below_best(self) -> float:
        """The share of the descriptions, 0..1, whose best this question's best exceeds; equal ones count half."""
        known, best = self.descriptions, np.float32(self.best)  # in one precision, or a value would not equal itself
        below = known.searchsorted(best, "left") + known.searchsorted(best, "right")
        return float(below) / (2 * len(known)) if len(known) else 0.0

    def passes(self, similarity: float) -> bool:
        """Whether a photo this similar is similar enough; True where there is no cut-off."""
        return self.value is None or bool(np.float32(similarity) > self.value)


def estimate_cutoff(descriptions: npt.ArrayLike, quantile: float = QUANTILE) -> float | None:
    """The similarity that the best photo of a question must exceed, to be similar enough.

    descriptions: as in SimilarityCutoff. The cut-off is one of them, the ceil(quantile (n + 1))-th from below: of
    further descriptions like these, a share of at most 1 - quantile exceeds it. None where there are too few to say.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"a quantile lies between 0 and 1: {quantile}")
    known = np.asarray(descriptions, np.float32)
    place = int(np.ceil(round(quantile * (len(known) + 1), 9)))
    return float(known[place - 1]) if place <= len(known) else None
