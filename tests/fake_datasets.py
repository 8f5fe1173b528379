"""Files that data sets' publishers provide next to their pictures."""

from collections.abc import Sequence
from pathlib import Path


def write_cub_lists(folder: Path, names: Sequence[str], box: str, training: int) -> None:
    """CUB-200-2011's lists: one species, one box for all, the first `training` pictures in the training part."""
    rows = {
        "images": names,
        "image_class_labels": ["1"] * len(names),
        "bounding_boxes": [box] * len(names),
        "train_test_split": [str(int(i < training)) for i in range(len(names))],
    }
    for name, values in rows.items():
        (folder / f"{name}.txt").write_text("".join(f"{i} {value}\n" for i, value in enumerate(values, 1)))
