"""What the photo model is shown: each view is a recipe, a few words about pictures and a seed, that renders to pixels.

A recipe always renders to the same pixels. Views undo what would let a network cheat: sharpness says nothing (a
picture of either kind is blurred, shrunk to about 64 pixels and compressed as often), a pasted patch says nothing
(things that aren't birds are pasted as well), and foliage says nothing (the bird photographs are shown without their
bird too). Whole scenes with a small bird are composed here for validation and test; nothing here draws from a part
that it was not given.
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
from train.tool import decode, see_image, to_rgb

Kind = Literal["photo", "bird", "bare", "pasted", "whole", "scene", "small"]

CANVAS = (1200, 900)  # pixels of a composed scene
SMALL_BIRD = (60, 220)  # pixels of the longer side of a small bird's box in it: 4.5 % of the frame at most
NEAR = 4  # bits of 64 in which the fingerprints of two versions of one picture differ at most
SMALLEST_BARE = 70  # pixels of the shorter side of a part of a bird photograph that shows no bird


@dataclass(frozen=True, slots=True)
class Recipe:
    """One picture to be shown. seed: of all that is random in it. bird: the target. group: where it comes from.

    For training (`render`): photo, a part of a picture; bird, a part that holds most of `box`; bare, a part that holds
    none of it; pasted, `path`'s box on `scene`. To be judged (`read_content`): whole, the file as it is; scene, the
    picture scaled to CANVAS; small, `path`'s box on `scene`, which is scaled to CANVAS.
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
    """How many views each picture of the training parts gives, or how many views in all."""

    cub_whole: int = 2
    cub_crop: int = 1
    caltech_birds: int = 8
    caltech_others: int = 2
    tiny_birds: int = 1
    tiny_others: float = 0.25
    bare: int = 1_000
    pasted_birds: int = 4_000
    pasted_others: int = 3_000


def plan_training(data: str | Path, amounts: Amounts, seed: int, part: str = "train") -> list[Recipe]:
    """The recipes to teach with, in a fixed order."""
    rng = np.random.default_rng(seed)
    birds = [b for b in cub.birds(data) if b.part == part]
    whole = [b for b in birds if is_whole(b)]
    caltech, tiny = ([p for p in source.pictures(data) if p.part == part] for source in (caltech101, tiny_imagenet))
    roomy = [b for b in whole if augment.find_room(_size(b.path), b.box)[1] >= SMALLEST_BARE]
    scenes = [p.path for p in caltech if not p.bird]
    things = [p for p in caltech + tiny if not p.bird]

    def new() -> int:
        return int(rng.integers(2**63))

    def pick(items: Sequence, n: int) -> list:
        return [items[i] for i in rng.integers(len(items), size=n)] if len(items) else []

    out = [Recipe("bird", b.path, True, new(), b.box, group="cub") for b in whole for _ in range(amounts.cub_whole)]
    out += [
        Recipe("photo", b.path, True, new(), group="cub crop")
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
            out += [Recipe("photo", p.path, p.bird, new(), group=name) for _ in range(n)]
    out += [Recipe("bare", b.path, False, new(), b.box, group="bare") for b in pick(roomy, amounts.bare)]
    for items, bird, n in ((whole, True, amounts.pasted_birds), (things, False, amounts.pasted_others)):
        patches = zip(pick(items, n), pick(scenes, n), strict=True)
        out += [
            Recipe("pasted", p.path, bird, new(), p.box if bird else None, scene, group="pasted")
            for p, scene in patches
        ]
    return out


def list_whole(data: str | Path, part: str) -> list[Recipe]:
    """The pictures of a part of all three sets, as they are."""
    found = [(b.path, True, "cub" if is_whole(b) else "cub crop") for b in cub.birds(data) if b.part == part]
    for source in (caltech101, tiny_imagenet):
        found += [(p.path, p.bird, source.NAME) for p in source.pictures(data) if p.part == part]
    return [Recipe("whole", path, bird, 0, group=group) for path, bird, group in found]


def compose_small(data: str | Path, part: str, n: int, seed: int) -> list[Recipe]:
    """2 n whole scenes from one part of CUB and Caltech-101: n with a small bird, n / 2 with another small thing pasted
    in the same way, n / 2 with nothing pasted. Scenes are Caltech-101's bird-less classes; no scene serves twice.
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
        Recipe("small", b.path, True, s, b.box, order[i], "small")
        for i, (b, s) in enumerate(zip(birds[:n], seeds, strict=True))
    ]
    out += [Recipe("small", t, False, seeds[i], None, order[n + i], "small") for i, t in enumerate(things)]
    out += [Recipe("scene", path, False, 0, group="scene") for path in order[n + n // 2 : 2 * n]]
    return out


def find_near_copies(recipes: Sequence[Recipe], held_out: Sequence[Recipe]) -> frozenset[Path]:
    """The pictures among `recipes` that look like one of `held_out`: another size, crop or compression of the same."""
    paths = sorted({r.path for r in recipes} | {r.scene for r in recipes if r.scene})
    known = np.array([fingerprint(open_picture(r.path)) for r in held_out], np.uint64)
    near = [np.bitwise_count(known ^ fingerprint(open_picture(path))).min(initial=64) <= NEAR for path in paths]
    return frozenset(path for path, copy in zip(paths, near, strict=True) if copy)


def fingerprint(image: Image.Image) -> np.uint64:
    """64 bits: is each of 8x8 parts of the grey picture darker than its right neighbour? (Krawetz, "dHash", 2013.)"""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), np.int16)
    return np.uint64(int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes()))


def read_content(recipe: Recipe) -> bytes:
    """The bytes of the file that a recipe stands for: what a library would hold, a JPEG where it is composed."""
    if recipe.kind == "whole":
        return decode.read(str(recipe.path))
    image = open_picture(recipe.path)
    if recipe.kind == "scene":
        image = fill_canvas(image)
    else:
        image = augment.crop_box(image, recipe.box) if recipe.box else image
        image, _ = paste_small(image, open_picture(recipe.scene), recipe.seed)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


def is_whole(bird: cub.Bird) -> bool:
    """False where the picture is cut to the bird: its box is the whole of it, and then it can't be pasted."""
    return "_crop_" not in bird.path.name


def render(recipe: Recipe, size: int) -> npt.NDArray[np.uint8]:
    """-> uint8 [size, size, 3] RGB, prepared as in search."""
    rng = np.random.default_rng(recipe.seed)
    image = open_picture(recipe.path)
    if recipe.kind == "bird":
        image = augment.crop_around(image, recipe.box, rng)
    elif recipe.kind == "bare":
        image = augment.crop_beside(image, recipe.box, rng)
    elif recipe.kind == "pasted":
        image = _paste_on_scene(image, recipe, rng)
    else:
        image = augment.take_part(image, rng, least=0.45 if min(image.size) > 100 else 0.6)
    return see_image(augment.wear(image, rng, least=110 if recipe.kind == "pasted" else 48), size)


def _size(path: Path) -> tuple[int, int]:
    """Width and height in pixels, from the file's head alone."""
    with Image.open(path) as image:
        return image.size


def open_picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return to_rgb(image)


def paste_small(
    patch: Image.Image, scene: Image.Image, seed: int, *, sides: tuple[int, int] = SMALL_BIRD
) -> tuple[Image.Image, float]:
    """A patch, scaled so that its longer side is `sides` pixels (drawn evenly by logarithm), on a scene cut to 4:3 and
    scaled to CANVAS, anywhere in it, with an edge that fades over an eighth of its side.

    Returns the scene and the part of the frame that the patch covers, 0..1.
    """
    rng = np.random.default_rng(seed)
    canvas = fill_canvas(scene)
    side = float(np.exp(rng.uniform(*np.log(sides))))
    patch = augment.scale(patch, side)
    covered = patch.width * patch.height / (canvas.width * canvas.height)
    return augment.paste(patch, canvas, rng, edge=0.125), covered


def fill_canvas(scene: Image.Image) -> Image.Image:
    """The largest centred part of a picture with CANVAS's shape, scaled to it."""
    w, h = scene.size
    width, height = min(w, h * CANVAS[0] / CANVAS[1]), min(h, w * CANVAS[1] / CANVAS[0])
    left, top = (w - width) / 2, (h - height) / 2
    return scene.resize(CANVAS, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def _paste_on_scene(image: Image.Image, recipe: Recipe, rng: np.random.Generator) -> Image.Image:
    """`recipe`'s patch on its scene, over 1.2 to 25 % of the frame, in either's sharpness."""
    scene = augment.take_part(open_picture(recipe.scene), rng, least=0.5)
    patch = augment.crop_box(image, recipe.box) if recipe.box else augment.take_part(image, rng, least=0.6)
    if rng.random() < 0.5:
        patch = patch.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    area = np.exp(rng.uniform(np.log(0.012), np.log(0.25))) * scene.width * scene.height
    shape = patch.width / patch.height
    side = max((area * shape) ** 0.5, (area / shape) ** 0.5)
    patch = augment.scale(patch, min(side, 0.95 * min(scene.size)))
    return augment.paste(patch, scene, rng, edge=rng.choice([0.02, 0.08, 0.15]))
