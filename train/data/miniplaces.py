"""MiniPlaces: 100,000 photographs of 100 scenes, 128x128 pixels, with the scene's name.

Source: the class project of MIT's 6.869, cut from Bolei Zhou et al., "Places: A 10 million Image Database for Scene
Recognition", 2017; unpacked as `miniplaces/train.txt`, `val.txt` and `images/`. Lines are like `train/a/abbey/1.jpg 0`.
For non-commercial research and education. Of the official validation pictures, sorted by name, the last 1,000 are left
out; the others are in turn for validation and for test. The first line of train.txt names an abbey.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from train.data import need

NAME, FOLDER = "miniplaces", "miniplaces"
HINT = "unpack its train.txt, val.txt and images/ below DIR/miniplaces, then use --data DIR"
PER_SCENE = 200  # training pictures
LEFT_OUT = 1000
EVERYDAY = {
    "bakery/shop": "bakery", "butchers_shop": "butcher's shop", "church/outdoor": "church", "coast": "seashore",
    "bookstore": "bookshop", "desert/sand": "desert", "ice_skating_rink/outdoor": "ice skating rink",
    "kindergarden_classroom": "kindergarten", "market/outdoor": "market", "martial_arts_gym": "martial arts gym",
    "monastery/outdoor": "monastery", "museum/indoor": "museum", "stadium/football": "football stadium",
    "stage/indoor": "stage", "subway_station/platform": "subway station", "swimming_pool/outdoor": "swimming pool",
    "temple/east_asia": "temple", "track/outdoor": "running track",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """A photograph and its scene's everyday name."""

    path: Path
    scene: str


def photographs(data: str | Path, part: str) -> list[Scene]:
    """part: train, validation or test. Raises InputError."""
    folder = need(Path(data) / FOLDER, NAME, HINT)
    names = list_scenes(data)
    if part == "train":
        return list(_first_of_each(folder, names))
    lines = sorted(_read(folder / "val.txt"))[:-LEFT_OUT]
    return [Scene(folder / "images" / file, names[k]) for file, k in lines[part == "test" :: 2]]


def list_scenes(data: str | Path) -> list[str]:
    """The everyday name of each class, in the order of the numbers in train.txt."""
    folder = need(Path(data) / FOLDER, NAME, HINT)
    names = {k: file.split("/", 2)[2].rsplit("/", 1)[0] for file, k in _read(folder / "train.txt")}
    return [EVERYDAY.get(names[k], names[k].replace("_", " ")) for k in sorted(names)]


def _first_of_each(folder: Path, names: list[str]) -> Iterator[Scene]:
    by_class: dict[int, list[Path]] = {}
    for file, k in _read(folder / "train.txt"):
        if (folder / "images" / file).exists():
            by_class.setdefault(k, []).append(folder / "images" / file)
    for k in sorted(by_class):
        yield from (Scene(path, names[k]) for path in by_class[k][:PER_SCENE])


def _read(file: Path) -> list[tuple[str, int]]:
    rows = (line.rsplit(" ", 1) for line in need(file, NAME, HINT).read_text(encoding="utf-8").splitlines())
    return [(name, int(k)) for name, k in rows]
