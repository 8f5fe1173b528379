"""How near the whole way, from files to rows, comes to the decode floor, and how far it is ahead of the plain way.

All ways run one after another over the same files, each in a fresh process, and that as often as there are rounds: a
ratio is taken within a round. The plain ways, which take long, run over the first photos only.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import clip, contestants, pictures
from benchmarks.measure import Cost, middle, ratio
from photosearch.models.session import Model
from photosearch.photos import decode

Runs = dict[str, list[Cost]]


def pipeline(
    to: Path,
    models: Mapping[str, Path],
    *,
    data: Path | None = None,
    n: int = 400,
    n_plain: int = 40,
    rounds: int = 3,
    clip_sizes: tuple[int, ...] = (224, 256),
) -> dict[str, Any]:
    """models: by name; the last one is the default, whose time is taken apart. n: of 12-megapixel photos."""
    folder = pictures.write(to, "12mp", n, data=data)
    clips = {f"ViT-B/32 at {size} px": clip.write(to, size) for size in clip_sizes}
    runs = compete(folder, models, clips, n_plain=n_plain, rounds=rounds)
    name, model = list(models.items())[-1]
    files = contestants.paths(folder)
    return {
        "n": n,
        "n_plain": n_plain,
        "rounds": rounds,
        "megabytes": sum(f.stat().st_size for f in files) / len(files) / 1e6,
        "default": name,
        "tiles": {name: Model(path, provider="cpu").card.tiles for name, path in models.items()},
        "ways": [_row(way, costs) for way, costs in runs.items()],
        "ratios": ratios(runs, list(models), list(clips)),
        "profile": profile(files[:24], model, middle(runs[f"photosearch {name}"])),
    }


def kinds(
    to: Path,
    models: Mapping[str, Path],
    *,
    data: Path | None = None,
    n: int = 40,
    of: tuple[str, ...] = ("48mp", "small", "png", "heic"),
) -> dict[str, Any]:
    """n: photos of each kind, ten times as many of the small ones. models: the last one is taken."""
    name, model = list(models.items())[-1]
    rows = [_kind(to, kind, model, data, n if kind != "small" else 10 * n) for kind in of]
    return {"n": n, "default": name, "rows": rows}


def compete(folder: Path, models: Mapping[str, Path], clips: Mapping[str, Path], *, n_plain: int, rounds: int) -> Runs:
    ways: dict[str, Callable[[], Cost]] = {"floor": lambda: contestants.run("floor", folder)}
    for name, path in models.items():
        ways[f"photosearch {name}"] = lambda path=path: contestants.run("photosearch", folder, model=path)
        ways[f"threads {name}"] = lambda path=path: contestants.run("threads", folder, model=path)
    for name, path in {**models, **clips}.items():
        ways[f"plain {name}"] = lambda path=path: contestants.run("plain", folder, model=path, n=n_plain)
    runs: Runs = {way: [] for way in ways}
    for _ in range(rounds):
        for way, go in ways.items():
            runs[way].append(go())
    return runs


def ratios(runs: Runs, models: list[str], clips: list[str]) -> list[dict[str, Any]]:
    """What must be shown, on the clock and in core time: ours over another way, larger is better for us."""
    rows = []
    for name in models:
        ours = f"photosearch {name}"
        rows.append(_compared(f"{name}: share of the decode floor", runs, ours, "floor"))
        rows.append(_compared(f"{name}: child processes against threads", runs, ours, f"threads {name}"))
        rows.append(_compared(f"{name}: against the plain way with the same network", runs, ours, f"plain {name}"))
    for other in clips:
        rows.append(_compared(f"{models[-1]}: against the plain way with {other}", runs, ours, f"plain {other}"))
    return rows


def _compared(what: str, runs: Runs, ours: str, other: str) -> dict[str, Any]:
    clock = ratio([c.rate for c in runs[ours]], [c.rate for c in runs[other]])
    cores = ratio([c.core_ms for c in runs[other]], [c.core_ms for c in runs[ours]])
    return {"what": what, "clock": clock, "cores": cores}


def profile(files: list[Path], path: Path, whole: Cost) -> list[dict[str, Any]]:
    """Where the core time of one photo goes: each stage alone on one thread, and what is left of the whole."""
    model = Model(path, provider="cpu", threads=1)
    card = model.card
    read = [decode.read(str(f)) for f in files]
    need = decode.ViewSpec(card.input_size, card.fit, card.tiles)
    views = [decode.decode(data, [need]).views[0] for data in read]
    opening = _core_ms(lambda: [decode.decode(d, [need]) for d in read], files)
    floor = _core_ms(lambda: [contestants.eighth(f) for f in files], files)
    stages = {
        "read the file": _core_ms(lambda: [decode.read(str(f)) for f in files], files),
        "hash it": _core_ms(lambda: [decode.content_hash(data) for data in read], files),
        "decode it at 1/8 scale (the floor)": floor,
        "EXIF, a larger scale where the network wants it, turn, resize": opening - floor,
        f"the network, {1 + card.tiles} view{'s' if card.tiles else ''}": _core_ms(
            lambda: model.predict(np.stack(views)).scores, files
        ),
    }
    stages["start the children, pipes, walk, database"] = whole.core_ms - sum(stages.values())
    return [{"stage": stage, "core_ms": ms, "share": ms / whole.core_ms} for stage, ms in stages.items()]


def _kind(to: Path, kind: str, model: Path, data: Path | None, n: int) -> dict[str, Any]:
    folder = pictures.write(to, kind, n, data=data)
    ours = contestants.run("photosearch", folder, model=model)
    plain = contestants.run("plain", folder, model=model, n=max(1, n // 4))
    width, height = pictures.KINDS[kind].size
    return {"kind": kind, "pixels": f"{width}x{height}", "n": n, "ours": _cost(ours), "plain": _cost(plain)}


def _core_ms(work: Callable[[], object], files: list[Path], repeats: int = 3) -> float:
    """Milliseconds of one core for one photo: the least of a few runs, the one that was disturbed least."""
    took = []
    for _ in range(repeats):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return 1000 * min(took) / len(files)


def _row(way: str, costs: list[Cost]) -> dict[str, Any]:
    return {"way": way, **_cost(middle(costs)), "rates": [c.rate for c in costs]}


def _cost(cost: Cost) -> dict[str, Any]:
    return {"n": cost.n, "rate": cost.rate, "core_ms": cost.core_ms, "peak_mb": cost.peak_bytes / 1e6}
