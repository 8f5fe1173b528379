"""A thousand, ten thousand, a hundred thousand photos: does time grow with them and no faster, and memory not at all?

Small photos, so that what each one costs besides its decoding shows. The second run finds them all unchanged.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks import contestants, pictures
from benchmarks.measure import Cost

FEW = 16  # enough that every child process starts


def scaling(
    to: Path, model: Path, *, data: Path | None = None, sizes: Sequence[int] = (1000, 10_000, 100_000)
) -> dict[str, Any]:
    """sizes: numbers of photos, each ten times the last. An index of FEW is what starting costs."""
    start = _index(pictures.write(to, "tiny", FEW, data=data), to, model)[0]
    rows = []
    for n in sizes:
        folder = pictures.write(to, "tiny", n, data=data)
        first, again, size_bytes = _index(folder, to, model)
        rows.append({"n": n, "first": _figures(first), "again": _figures(again), "bytes_a_photo": size_bytes / n})
    return {
        "model": model.stem,
        "few": FEW,
        "start": _figures(start),
        "rows": rows,
        "steps": steps(rows, _figures(start)),
    }


def steps(rows: list[dict[str, Any]], start: dict[str, float]) -> list[dict[str, float]]:
    """From one size to the next: how many times the photos, the time (starting taken off) and the memory."""
    out = []
    for few, many in pairwise(rows):
        a, b = few["first"], many["first"]
        out.append(
            {
                "photos": many["n"] / few["n"],
                "seconds": (b["seconds"] - start["seconds"]) / (a["seconds"] - start["seconds"]),
                "core_seconds": (b["core_seconds"] - start["core_seconds"])
                / (a["core_seconds"] - start["core_seconds"]),
                "peak": b["peak_mb"] / a["peak_mb"],
            }
        )
    return out


def _index(folder: Path, to: Path, model: Path) -> tuple[Cost, Cost, int]:
    """-> (the first run, the second run, bytes of the database)."""
    db = to / "scaling.db"
    for left in to.glob("scaling.db*"):
        left.unlink()
    first = contestants.run("photosearch", folder, model=model, db=db)
    return first, contestants.run("photosearch", folder, model=model, db=db), db.stat().st_size


def _figures(cost: Cost) -> dict[str, float]:
    return {"seconds": cost.seconds, "core_seconds": cost.core_seconds, "peak_mb": cost.peak_bytes / 1e6}
