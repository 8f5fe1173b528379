"""The photo model's inputs: a view is a picture, how it is changed, and a seed; it always renders to the same pixels.

Views remove shortcuts: sharpness says nothing (pictures with and without birds are blurred, shrunk to about 64 pixels
and compressed equally often), nor does a pasted patch (other things are pasted too), nor foliage (bird photographs also
appear without their bird). Whole scenes with a small bird are composed here for validation and test. Every function
uses only the part it is given.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from train import augment
from train.augment import Box
from train.data import caltech101, cub, tiny_imagenet
from train.tool import decode, prepare_image, to_rgb

Kind = Literal["photo", "bird", "bare", "pasted", "whole", "scene", "small"]

CANVAS = (1200, 900)  # pixels of a composed scene
SMALL_BIRD = (60, 220)  # pixels of the longer side of a small bird's box in it: at most 4.5 % of the frame
MAX_DISTANCE = 4  # bits of 64 between the fingerprints of two versions of one picture
MIN_BARE = 70  # pixels of the shorter side of a crop without the bird


@dataclass(frozen=True, slots=True)
class View:
    """One input. seed: of everything random in it. bird: the target. group: its source.

    Kinds for training (`render`): photo, a crop; bird, a crop with most of `box`; bare, a crop without it; pasted,
    `path`'s box on `scene`. For validation and test (`read_content`): whole, the file unchanged; scene, the picture
    scaled to CANVAS; small, `path`'s box on `scene`, which is scaled to CANVAS.
    """

    kind: Kind
    path: Path
    bird: bool
    seed: int
    box: Box | None = None
    scene: Path | None = None
    group: str = ""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Views per picture of the training parts; for bare and pasted, views in total."""

    cub_whole: int = 2
    cub_crop: int = 1
    caltech_birds: int = 8
    caltech_others: int = 2
    tiny_birds: int = 1
    tiny_others: float = 0.25
    bare: int = 1_000
    pasted_birds: int = 4_000
    pasted_others: int = 3_000


def plan_training(data: str | Path, amounts: Amounts, seed: int, part: str = "train") -> list[View]:
    """The views for training, in a fixed order."""
    rng = np.random.default_rng(seed)
    birds = [b for b in cub.birds(data) if b.part == part]
    whole = [b for b in birds if is_whole(b)]
    caltech, tiny = ([p for p in source.pictures(data) if p.part == part] for source in (caltech101, tiny_imagenet))
    roomy = [b for b in whole if augment.find_room(_size(b.path), b.box)[1] >= MIN_BARE]
    scenes = [p.path for p in caltech if not p.bird]
    things = [p for p in caltech + tiny if not p.bird]

    def new() -> int:
        return int(rng.integers(2**63))

    def pick(items: Sequence, n: int) -> list:
        return [items[i] for i in rng.integers(len(items), size=n)] if len(items) else []

    out = [View("bird", b.path, True, new(), b.box, group="cub") for b in whole for _ in range(amounts.cub_whole)]
    out += [
        View("photo", b.path, True, new(), group="cub crop")
        for b in birds
        if not is_whole(b)
        for _ in range(amounts.cub_crop)
    ]
    for pictures, name, many in (
        (caltech, "caltech", (amounts.caltech_others, amounts.caltech_birds)),
        (tiny, "tiny", (amounts.tiny_others, amounts.tiny_birds)),
    ):
        for p in pictures:
            n = many[p.bird]
            n = int(n) + (rng.random() < n % 1)
            out += [View("photo", p.path, p.bird, new(), group=name) for _ in range(n)]
    out += [View("bare", b.path, False, new(), b.box, group="bare") for b in pick(roomy, amounts.bare)]
    for items, bird, n in ((whole, True, amounts.pasted_birds), (things, False, amounts.pasted_others)):
        patches = zip(pick(items, n), pick(scenes, n), strict=True)
        out += [
            View("pasted", p.path, bird, new(), p.box if bird else None, scene, group="pasted") for p, scene in patches
        ]
    return out


def list_whole(data: str | Path, part: str) -> list[View]:
    """The pictures of one part of all three sets, unchanged."""
    found = [(b.path, True, "cub" if is_whole(b) else "cub crop") for b in cub.birds(data) if b.part == part]
    for source in (caltech101, tiny_imagenet):
        found += [(p.path, p.bird, source.NAME) for p in source.pictures(data) if p.part == part]
    return [View("whole", path, bird, 0, group=group) for path, bird, group in found]


def compose_small(data: str | Path, part: str, n: int, seed: int) -> list[View]:
    """2 n whole scenes from one part of CUB and Caltech-101: n with a small bird, n / 2 with another small thing, n / 2
    with nothing pasted. Scenes are Caltech-101's classes without birds, each used once.
    """
    rng = np.random.default_rng(seed)
    birds = [b for b in cub.birds(data) if b.part == part and is_whole(b)]
    others = [p.path for p in caltech101.pictures(data) if p.part == part and not p.bird]
    birds = [birds[i] for i in rng.permutation(len(birds))[:n]]
    order = [others[i] for i in rng.permutation(len(others))]
    n = min(len(birds), len(order) // 2)
    seeds = [int(x) for x in rng.integers(2**63, size=n)]
    things = [order[i] for i in rng.integers(len(order), size=n // 2)]
    out = [
        View("small", b.path, True, s, b.box, order[i], "small")
        for i, (b, s) in enumerate(zip(birds[:n], seeds, strict=True))
    ]
    out += [View("small", t, False, seeds[i], None, order[n + i], "small") for i, t in enumerate(things)]
    out += [View("scene", path, False, 0, group="scene") for path in order[n + n // 2 : 2 * n]]
    return out


def find_near_copies(views: Sequence[View], held_out: Sequence[View]) -> frozenset[Path]:
    """The pictures of `views` that are another size, crop or compression of one of `held_out`."""
    paths = sorted({v.path for v in views} | {v.scene for v in views if v.scene})
    known = np.array([fingerprint(open_picture(r.path)) for r in held_out], np.uint64)
    near = [np.bitwise_count(known ^ fingerprint(open_picture(path))).min(initial=64) <= MAX_DISTANCE for path in paths]
    return frozenset(path for path, copy in zip(paths, near, strict=True) if copy)


def fingerprint(image: Image.Image) -> np.uint64:
    """64 bits: is each of 8x8 parts of the grey picture darker than its right neighbour? (Krawetz, "dHash", 2013)"""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return np.uint64(int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes()))


def read_content(view: View) -> bytes:
    """A view as the bytes of a file in a library; a composed scene is a JPEG."""
    if view.kind == "whole":
        return decode.read(str(view.path))
    image = open_picture(view.path)
    if view.kind == "scene":
        image = fill_canvas(image)
    else:
        image = augment.crop_box(image, view.box) if view.box else image
        image, _ = paste_small(image, open_picture(view.scene), view.seed)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def is_whole(bird: cub.Bird) -> bool:
    """False if the picture is cropped to the bird, so that its box is the whole picture and can't be pasted."""
    return "_crop_" not in bird.path.name


def render(view: View, size: int) -> npt.NDArray[np.uint8]:
    """-> uint8 [size, size, 3] RGB."""
    rng = np.random.default_rng(view.seed)
    image = open_picture(view.path)
    if view.kind == "bird":
        image = augment.crop_around(image, view.box, rng)
    elif view.kind == "bare":
        image = augment.crop_background(image, view.box, rng)
    elif view.kind == "pasted":
        image = _paste_on_scene(image, view, rng)
    else:
        image = augment.crop_random(image, rng, min_share=0.45 if min(image.size) > 100 else 0.6)
    return prepare_image(augment.degrade(image, rng, min_side=110 if view.kind == "pasted" else 48), size)


def _size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the file's header."""
    with Image.open(path) as image:
        return image.size


def open_picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return to_rgb(image)


def paste_small(
    patch: Image.Image, scene: Image.Image, seed: int, *, sides: tuple[int, int] = SMALL_BIRD
) -> tuple[Image.Image, float]:
    """A patch at a random place of a scene that is cropped to 4:3 and scaled to CANVAS.

    sides: limits of the patch's longer side in pixels, log-uniformly random; its edge fades over an eighth of its side.
    Returns the scene and the share of the frame that the patch covers, 0..1.
    """
    rng = np.random.default_rng(seed)
    canvas = fill_canvas(scene)
    side = float(np.exp(rng.uniform(*np.log(sides))))
    patch = augment.scale(patch, side)
    covered = patch.width * patch.height / (canvas.width * canvas.height)
    return augment.paste(patch, canvas, rng, edge=0.125), covered


def fill_canvas(scene: Image.Image) -> Image.Image:
    """The largest centred crop with CANVAS's proportions, scaled to it."""
    w, h = scene.size
    width, height = min(w, h * CANVAS[0] / CANVAS[1]), min(h, w * CANVAS[1] / CANVAS[0])
    left, top = (w - width) / 2, (h - height) / 2
    return scene.resize(CANVAS, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def _paste_on_scene(image: Image.Image, view: View, rng: np.random.Generator) -> Image.Image:
    """The view's patch on its scene, over 1.2 to 25 % of the frame."""
    scene = augment.crop_random(open_picture(view.scene), rng, min_share=0.5)
    patch = augment.crop_box(image, view.box) if view.box else augment.crop_random(image, rng, min_share=0.6)
    if rng.random() < 0.5:
        patch = patch.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    area = np.exp(rng.uniform(np.log(0.012), np.log(0.25))) * scene.width * scene.height
    shape = patch.width / patch.height
    side = max((area * shape) ** 0.5, (area / shape) ** 0.5)
    patch = augment.scale(patch, min(side, 0.95 * min(scene.size)))
    return augment.paste(patch, scene, rng, edge=rng.choice([0.02, 0.08, 0.15]))
