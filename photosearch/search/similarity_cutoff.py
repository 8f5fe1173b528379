"""Which photos surely show what a question describes, and where the list of the others ends.

A similarity like 0.31 says nothing by itself: each model has its own range, and some photos are near to any text. So it
is compared with those of many everyday descriptions (descriptions.txt) to the same photo. The evidence of a photo is by
how many standard deviations the question exceeds their mean. That needs no other photo, so it means the same in a
library of one and of a million, and for every model. `python -m train cutoff --data DIR` compares it with other rules
and chose SURE and END on Flickr8k's development pictures.

Pure: arrays in, numbers out. similar.py embeds the descriptions.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SURE = 4.0  # standard deviations, from which on a photo surely shows what is described
END = 0.7  # share of the list's highest evidence, below which it ends
UNSURE = 10  # photos shown where none is sure
MIN_SPREAD = 1e-3  # of the everyday similarities: less is rounding

Floats = npt.NDArray[np.float32]


def measure_evidence(similarities: npt.ArrayLike, everyday: Floats) -> tuple[Floats, Floats]:
    """-> (by how many standard deviations each photo's similarity exceeds those of everyday descriptions, the standard
    deviations), both [N].

    similarities: of a question, [N], or of several, [Q, N]. everyday: of the descriptions to the photos, [M, N].
    """
    spread = np.maximum(everyday.std(0), np.float32(MIN_SPREAD))
    evidence: Floats = (np.asarray(similarities, np.float32) - everyday.mean(0)) / spread
    return evidence, spread


def find_end(evidence: Sequence[float]) -> int:
    """How many photos of a list to show. evidence: of each, in the list's order.

    Where one is sure: all up to the last whose evidence is END of the highest. Else: UNSURE.
    """
    highest = max(evidence, default=0.0)
    if highest < SURE:
        return min(len(evidence), UNSURE)
    return max(i + 1 for i, value in enumerate(evidence) if value >= END * highest)
