"""Image augmentation that keeps what a picture shows: first for batches of tensors, then for one photo."""

import io

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.nn import functional as F

from train.tool import to_rgb

Box = tuple[float, float, float, float]  # left, top, width, height in pixels


# Batches


def transform(
    x: Tensor, *, rotation_degrees: float = 0.0, shift: int = 0, zoom: float = 0.0, blur: float = 0.0
) -> Tensor:
    """float [N, 3, H, W] -> the same shape: half mirrored, each rotated, shifted and enlarged at random.

    rotation_degrees: the maximum in either direction. shift: the maximum, in whole pixels, so that without rotation
    nothing is interpolated. zoom: the maximum share that is cropped away, 0..1. blur: the share of blurred pictures.
    """
    n, device = len(x), x.device
    angle = (torch.rand(n, device=device) * 2 - 1) * np.deg2rad(rotation_degrees)
    flip = (torch.rand(n, device=device) < 0.5) * -2.0 + 1
    cos, sin, move = angle.cos(), angle.sin(), torch.zeros(2, n, device=device)
    if shift:
        move = torch.randint(-shift, shift + 1, (2, n), device=device) * 2 / x.shape[3]
    if zoom:
        scale = 1 - zoom * torch.rand(n, device=device)
        cos, sin = cos * scale, sin * scale
        move = move + (torch.rand(2, n, device=device) * 2 - 1) * (1 - scale)
    affine = torch.stack([flip * cos, -flip * sin, move[0], sin, cos, move[1]], 1).view(n, 2, 3)
    grid = F.affine_grid(affine, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    return _blur(x, blur)


def _blur(x: Tensor, share: float) -> Tensor:
    blurred = torch.rand(len(x), device=x.device) < share
    kernel = torch.tensor([1.0, 2.0, 1.0], device=x.device)
    kernel = (kernel[:, None] * kernel / 16).expand(3, 1, 3, 3)
    x[blurred] = F.conv2d(F.pad(x[blurred], (1, 1, 1, 1), mode="reflect"), kernel, groups=3)
    return x


def cut_mix(x: Tensor, other: Tensor) -> tuple[Tensor, float]:
    """float [N, 3, H, W], twice -> the first with one rectangle of the second, and the remaining share of the first.

    The rectangle has the picture's proportions, a uniformly random area and centre, and is clipped at the edges:
    CutMix, Yun et al. 2019.
    """
    height, width = x.shape[2:]
    side = float(torch.rand(())) ** 0.5

    def span(length: int) -> tuple[int, int]:
        centre, half = int(torch.randint(length, ())), round(side * length / 2)
        return max(centre - half, 0), min(centre + half, length)

    (top, bottom), (left, right) = span(height), span(width)
    x = x.clone()
    x[:, :, top:bottom, left:right] = other[:, :, top:bottom, left:right]
    return x, 1 - (bottom - top) * (right - left) / (height * width)


# One photo


def crop_random(image: Image.Image, rng: np.random.Generator, min_share: float) -> Image.Image:
    """A random crop of at least `min_share` of the picture, between 3:4 and 4:3 of its proportions."""
    area, shape = rng.uniform(min_share, 1), np.exp(rng.uniform(np.log(0.75), np.log(4 / 3)))
    w = max(1, round(image.width * min(1, (area * shape) ** 0.5)))
    h = max(1, round(image.height * min(1, (area / shape) ** 0.5)))
    left, top = rng.integers(image.width - w + 1), rng.integers(image.height - h + 1)
    return image.crop((int(left), int(top), int(left) + w, int(top) + h))


def crop_around(image: Image.Image, box: Box, rng: np.random.Generator) -> Image.Image:
    """A crop with at least two thirds of the bird's box, from the box alone to the whole picture."""
    left, top, w, h = box
    edges = []
    for start, length, end in ((left, w, image.width), (top, h, image.height)):
        end = max(end, start + length)  # some boxes extend a pixel beyond their picture
        first = rng.uniform(0, start) if rng.random() < 0.8 else start + rng.uniform(0, 0.18) * length
        last = rng.uniform(start + length, end) if rng.random() < 0.8 else start + rng.uniform(0.82, 1) * length
        edges.append((round(first), max(round(first) + 8, round(min(last, end)))))
    (x0, x1), (y0, y1) = edges
    return image.crop((x0, y0, x1, y1))


def crop_background(image: Image.Image, box: Box, rng: np.random.Generator) -> Image.Image:
    """A crop without the bird, from the widest strip next to its box."""
    (x0, y0, x1, y1), narrow = find_room(image.size, box)
    side = rng.uniform(0.7, 1) * narrow
    wide, high = min(x1 - x0, side * rng.uniform(1, 1.6)), min(y1 - y0, side * rng.uniform(1, 1.6))
    x, y = x0 + rng.random() * (x1 - x0 - wide), y0 + rng.random() * (y1 - y0 - high)
    return image.crop((int(x), int(y), int(x + wide), int(y + high)))


def find_room(size: tuple[int, int], box: Box) -> tuple[Box, float]:
    """-> the widest strip next to a box (left, top, right, bottom) and its shorter side, in pixels."""
    (width, height), (left, top, w, h) = size, box
    strips = [(0, 0, left, height), (left + w, 0, width, height), (0, 0, width, top), (0, top + h, width, height)]
    widest = max(strips, key=lambda s: min(s[2] - s[0], s[3] - s[1]))
    return widest, min(widest[2] - widest[0], widest[3] - widest[1])


def crop_box(image: Image.Image, box: Box, grow: float = 0.06) -> Image.Image:
    """A crop slightly larger than a box, since beaks often touch its edge."""
    left, top, w, h = box
    return image.crop(
        (
            max(0, round(left - grow * w)),
            max(0, round(top - grow * h)),
            min(image.width, round(left + (1 + grow) * w)),
            min(image.height, round(top + (1 + grow) * h)),
        )
    )


def scale(patch: Image.Image, longer: float) -> Image.Image:
    factor = longer / max(patch.size)
    size = max(2, round(patch.width * factor)), max(2, round(patch.height * factor))
    return patch.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)


def paste(patch: Image.Image, scene: Image.Image, rng: np.random.Generator, *, edge: float) -> Image.Image:
    """The scene with the patch at a random place. edge: the share of the patch's side over which it fades in."""
    fades = []
    for length in (patch.height, patch.width):
        inside = np.minimum(np.arange(length) + 0.5, length - np.arange(length) - 0.5)
        fades.append(np.clip(inside / max(edge * length, 1e-6), 0, 1))
    mask = Image.fromarray((np.outer(*fades) * 255).astype(np.uint8))
    x, y = rng.integers(scene.width - patch.width + 1), rng.integers(scene.height - patch.height + 1)
    scene = scene.copy()
    scene.paste(patch, (int(x), int(y)), mask)
    return scene


def degrade(image: Image.Image, rng: np.random.Generator, min_side: int) -> Image.Image:
    """Mirrored, recoloured, shrunk (to at least `min_side` pixels) and compressed at random, like photos on the web."""
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        if rng.random() < 0.5:
            image = change(image).enhance(rng.uniform(0.6, 1.4))
    if rng.random() < 0.05:
        image = image.convert("L").convert("RGB")
    if rng.random() < 0.5:
        side = float(np.exp(rng.uniform(np.log(min_side), np.log(170))))
        if side < max(image.size):
            image = scale(image, side)
    if rng.random() < 0.4:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(30, 95)))
        image = to_rgb(Image.open(buffer))
    return image
