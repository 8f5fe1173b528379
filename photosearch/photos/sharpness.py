"""How sharp a photo is, to be compared with other shots of the same thing.

The variance of the Laplacian: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy: a comparative
study", 2000. It is not divided by the variance of the grey levels, nor by their mean: of shots from a moving hand, that
finds the sharp one less often. `python -m benchmarks bursts` measures it against made blur.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = 512  # pixels on a side of the view that is measured


def measure_sharpness(view: npt.NDArray[np.uint8]) -> float:
    """view: [S, S, 3], RGB. From 0, for one plain level; higher is sharper, only among shots alike in size and motif.

    A checkerboard of single black and white pixels, the sharpest view that there is, gives 1020 ** 2.
    """
    grey = np.asarray(Image.fromarray(view).convert("L"), np.float32)
    inner = grey[1:-1, 1:-1]
    return float((grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner).var())
