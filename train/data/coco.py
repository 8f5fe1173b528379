"""Five thousand everyday photographs of COCO's train2014, 256x256 pixels, without captions.

Source: Tsung-Yi Lin et al., "Microsoft COCO: Common Objects in Context", 2014; `coco/COCO_train2014_*.jpg`. The
photographs belong to their photographers. Numbers below 800 and 30752 are left out, for other measurements.
"""

from pathlib import Path

from train.data import need

NAME, FOLDER = "coco", "coco"
HINT = "put COCO_train2014_*.jpg below DIR/coco, then use --data DIR"
FIRST_NUMBER, LEFT_OUT = 800, frozenset({30752})
VALIDATION = 5  # of so many pictures one is for validation


def photographs(data: str | Path, part: str) -> list[Path]:
    """part: train or validation. Raises InputError."""
    paths = sorted(need(Path(data) / FOLDER, NAME, HINT).glob("COCO_train2014_*.jpg"))
    used = [p for p in paths if _number(p) >= FIRST_NUMBER and _number(p) not in LEFT_OUT]
    return [p for i, p in enumerate(used) if (i % VALIDATION == 0) == (part == "validation")]


def _number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])
