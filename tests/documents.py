"""Made-up pictures of text: scanned pages, receipts, slides and screenshots, each kind from one template.

All pictures of a kind have the same layout and other words, so that only their fine detail tells them apart.
"""

import random
from collections.abc import Callable

from PIL import Image, ImageDraw, ImageFont

SYLLABLES = ("ka", "lo", "mi", "ren", "tas", "vor", "qui", "ste", "pla", "un", "der", "o", "bi", "chu", "gam", "fex")


def draw_page(rng: random.Random) -> Image.Image:
    """A scanned page, 1240x1754 pixels: 45 justified lines of random words, 34 pixels apart."""
    image, draw = _blank((1240, 1754), 250)
    for row in range(45):
        _write_line(draw, rng, (110, 110 + 34 * row), 1010, 22)
    return image


def draw_receipt(rng: random.Random) -> Image.Image:
    """A receipt, 600x1400: one shop's head and foot, 22 items with their prices, a date."""
    image, draw = _blank((600, 1400), 245)
    for row, text in enumerate(("CORNER SHOP", "12 High Street", "Open daily 8 to 20")):
        draw.text((150, 50 + 50 * row), text, 10, _font(34))
    date = f"{rng.randint(1, 28):02}.{rng.randint(1, 12):02}.2024"
    draw.text((40, 220), f"{date}  {rng.randint(8, 19)}:{rng.randint(10, 59)}", 20, _font(26))
    for row in range(22):
        draw.text((40, 280 + 42 * row), _word(rng).capitalize(), 20, _font(26))
        draw.text((470, 280 + 42 * row), f"{rng.randint(0, 99):>2}.{rng.randint(0, 99):02}", 20, _font(26))
    draw.line((40, 1220, 560, 1220), 20, 3)
    draw.text((40, 1240), f"TOTAL   {rng.randint(20, 400)}.{rng.randint(0, 99):02}", 10, _font(40))
    draw.text((40, 1320), "Thank you for shopping with us", 20, _font(26))
    return image


def draw_slide(rng: random.Random) -> Image.Image:
    """A slide, 1920x1080: a coloured bar with a title, five points, a logo."""
    image, draw = _blank((1920, 1080), 255)
    image = image.convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 1920, 150), (20, 60, 130))
    draw.text((80, 45), _words(rng, 4), "white", _font(64))
    for row in range(5):
        draw.ellipse((90, 270 + 140 * row, 110, 290 + 140 * row), "black")
        draw.text((150, 255 + 140 * row), _words(rng, 8), "black", _font(44))
    draw.ellipse((1740, 930, 1860, 1050), (200, 60, 40))
    return image


def draw_chat(rng: random.Random) -> Image.Image:
    """A screenshot of a telephone in dark mode, 1080x2340: seven messages in bubbles."""
    image = Image.new("RGB", (1080, 2340), (17, 18, 22))
    draw = ImageDraw.Draw(image)
    draw.text((60, 40), f"{rng.randint(8, 22)}:{rng.randint(10, 59)}", "white", _font(44))
    draw.text((140, 150), "Family", "white", _font(60))
    for row in range(7):
        left = 60 if row % 2 else 220
        draw.rounded_rectangle((left, 300 + 270 * row, left + 800, 520 + 270 * row), 40, (38, 42, 52))
        for line in range(3):
            draw.text((left + 40, 325 + 270 * row + 60 * line), _words(rng, 5), (230, 230, 235), _font(42))
    draw.rounded_rectangle((60, 2210, 1020, 2310), 50, (30, 32, 38))
    return image


def draw_settings(rng: random.Random) -> Image.Image:
    """A screenshot of a computer in light mode, 1440x900: a list at the left, text at the right."""
    image = Image.new("RGB", (1440, 900), (252, 252, 253))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 320, 900), (238, 239, 242))
    for row in range(14):
        draw.text((40, 40 + 60 * row), _words(rng, 2), (40, 40, 40), _font(26))
    for row in range(22):
        _write_line(draw, rng, (380, 60 + 38 * row), 980, 24)
    return image


KINDS: dict[str, Callable[[random.Random], Image.Image]] = {
    "page": draw_page, "receipt": draw_receipt, "slide": draw_slide, "dark screenshot": draw_chat,
    "light screenshot": draw_settings,
}  # fmt: skip


def _blank(size: tuple[int, int], grey: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("L", size, grey)
    return image, ImageDraw.Draw(image)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _word(rng: random.Random) -> str:
    return "".join(rng.choices(SYLLABLES, k=rng.randint(1, 4)))


def _words(rng: random.Random, n: int) -> str:
    return " ".join(_word(rng) for _ in range(n))


def _write_line(draw: ImageDraw.ImageDraw, rng: random.Random, at: tuple[int, int], width: int, size: int) -> None:
    """Words up to the right margin."""
    text, font = _word(rng), _font(size)
    while draw.textlength(longer := f"{text} {_word(rng)}", font) <= width:
        text = longer
    draw.text(at, text, 30, font)
