"""What `index --ocr` reads and costs: made pictures of known words, and photos without text.

Words of the lexicon are drawn into photographs of birds (CUB-200-2011), in five fonts that matplotlib's wheel brings:
straight or turned, on a plate or on the photo itself, blurred, under noise. Half of all pictures are for choosing the
gate's threshold, the other half for reporting it. Characters that are wrong are counted by edit distance (Levenshtein)
over the letters and digits of the drawn text; a word is found where some line has it, whatever its case.
"""

import io
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from rapidfuzz.distance import Levenshtein

from photosearch.doctor import make_jpeg
from photosearch.ocr.reader import GATE_SIZE, MIN_LIKELIHOOD, SIZE, TextReader
from photosearch.photos import decode
from photosearch.photos.decode import ViewSpec, fit_within
from photosearch.search import lexicon

FONTS = ("DejaVuSans.ttf", "DejaVuSerif-Italic.ttf", "DejaVuSansMono-Bold.ttf", "STIXGeneral.ttf", "cmss10.ttf")
HEIGHTS = (0.015, 0.025, 0.04, 0.08)  # of the letters, of the picture's
ANGLES = (0, 12, -35, 90)  # degrees
INKS = (((0, 0, 0), (250, 250, 245)), ((255, 255, 255), (20, 40, 120)), ((250, 220, 0), (20, 20, 20)))  # on a plate
WIDTH = 1600  # pixels of a made picture
LARGE = 20  # photos without text that are enlarged to that, for their costs
PLAIN_RECALL = 0.95  # of pictures with text that the gate is to keep


@dataclass(frozen=True, slots=True)
class Made:
    """font, height, angle, plate: how the text was drawn."""

    picture: Image.Image
    text: str
    font: str
    height: float
    angle: int
    plate: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """likelihood: what the gate compares. gate_ms, read_ms: of one core."""

    likelihood: float
    gate_ms: float
    read_ms: float
    lines: tuple[str, ...]


def measure(data: Path, n: int, seed: int = 1) -> Iterator[str]:
    """Lines of a report. n: pictures of each kind."""
    photos = sorted((data / "CUB_200_2011" / "images").rglob("*.jpg"))
    random.Random(seed).shuffle(photos)
    reader = TextReader()
    without = [look(reader, decode.read(str(path))) for path in photos[:n]]
    made = [draw(photo, number) for number, photo in enumerate(photos[n : 2 * n])]
    with_text = [look(reader, encode(one.picture)) for one in made]
    yield from report_gate(without, with_text)
    large = [look(reader, encode(enlarge(photo))) for photo in photos[:LARGE]]
    yield from report_costs({"without text": large, "with text": with_text})
    yield from report_reading(made, with_text)
    yield f"\nPhotos of birds in which text was read, to look at: {sum(bool(o.lines) for o in without)} of {n}"
    for path, one in zip(photos[:n], without, strict=True):
        if one.lines:
            yield f"  {path.name}: {' | '.join(one.lines)}"


def look(reader: TextReader, data: bytes) -> Outcome:
    """A photo through the gate and, whatever it says, through the reader."""
    small, large = open_views(data)
    start = time.process_time()
    likelihood = reader.weigh(small)
    gate_ms = 1000 * (time.process_time() - start)
    start = time.process_time()
    lines = tuple(line.text for line in reader.read(large))
    return Outcome(likelihood, gate_ms, 1000 * (time.process_time() - start), lines)


def open_views(data: bytes) -> list[npt.NDArray[np.uint8]]:
    """As `index` opens them."""
    views = []
    for size in (GATE_SIZE, SIZE):
        photo = decode.decode(data, [ViewSpec(size, "pad")])
        width, height = fit_within(photo.width, photo.height, size)
        views.append(np.ascontiguousarray(photo.views[0][0, :height, :width]))
    return views


def draw(photo: Path, number: int) -> Made:
    """Words in a photograph; the number decides on all else."""
    rng = random.Random(number)
    base = enlarge(photo)
    font, height = FONTS[number % len(FONTS)], HEIGHTS[number // len(FONTS) % len(HEIGHTS)]
    angle, plate = ANGLES[rng.randrange(len(ANGLES))], rng.random() < 0.5
    text = rng.choice((str.upper, str.title, str.lower))(" ".join(rng.choices(list_words(), k=rng.randint(1, 3))))
    if rng.random() < 0.4:
        text += f" {rng.randint(1, 999)}"
    label = draw_label(text, font, round(height * base.height), rng.choice(INKS), plate=plate)
    label = label.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    label.thumbnail(base.size)
    base.paste(label, (rng.randint(0, base.width - label.width), rng.randint(0, base.height - label.height)), label)
    base = base.filter(ImageFilter.GaussianBlur(rng.choice((0, 0.7, 1.2))))
    noise = np.random.default_rng(number).normal(0, rng.choice((0, 5, 10)), (base.height, base.width, 1))
    noisy = np.clip(np.asarray(base) + noise, 0, 255).astype(np.uint8)
    return Made(Image.fromarray(noisy), text, font, height, angle, plate)


def enlarge(photo: Path) -> Image.Image:
    with Image.open(photo) as opened:
        return opened.convert("RGB").resize(
            (WIDTH, round(opened.height * WIDTH / opened.width)), Image.Resampling.BICUBIC
        )


def draw_label(
    text: str, font: str, height: int, ink: tuple[tuple[int, int, int], tuple[int, int, int]], *, plate: bool
) -> Image.Image:
    """height: of the letters, in pixels."""
    face = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/{font}", max(6, round(height * 1.38)))
    left, top, right, bottom = (round(side) for side in face.getbbox(text))
    pad = max(3, height // 2)
    back = (*ink[1], 255) if plate else (0, 0, 0, 0)
    label = Image.new("RGBA", (right - left + 2 * pad, bottom - top + 2 * pad), back)
    ImageDraw.Draw(label).text((pad - left, pad - top), text, fill=(*ink[0], 255), font=face)
    return label


def list_words() -> list[str]:
    return [word for word in sorted(lexicon.read_lexicon().counts) if word.isalpha() and 3 <= len(word) <= 9]


def encode(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()


def report_gate(without: Sequence[Outcome], with_text: Sequence[Outcome]) -> Iterator[str]:
    """The threshold is chosen on one half, by pictures whose text the reader can read at all."""
    legible = [[o for o in with_text[half::2] if o.lines] for half in (0, 1)]
    likelihoods = sorted(o.likelihood for o in legible[0])
    chosen = likelihoods[int((1 - PLAIN_RECALL) * len(likelihoods))] if likelihoods else 0
    yield f"gate: chosen {chosen:.2f}, today {MIN_LIKELIHOOD}"
    for least in dict.fromkeys((round(chosen, 2), MIN_LIKELIHOOD)):
        for name, half in (("chosen on", 0), ("reported on", 1)):
            kept = statistics.mean(o.likelihood >= least for o in legible[half])
            passed = statistics.mean(o.likelihood >= least for o in without[half::2])
            numbers = (
                f"keeps {kept:.3f} of {len(legible[half])} legible, passes {passed:.3f} of {len(without[half::2])}"
            )
            yield f"  from {least:.2f}, {name}: {numbers} without text"


def report_costs(kinds: Mapping[str, Sequence[Outcome]]) -> Iterator[str]:
    for name, outcomes in kinds.items():
        gate, read = statistics.median(o.gate_ms for o in outcomes), statistics.median(o.read_ms for o in outcomes)
        yield f"core-ms {name}, {WIDTH} pixels wide: gate {gate:.0f}, reading {read:.0f} (medians of {len(outcomes)})"
    data, milliseconds = make_jpeg(), []
    for _ in range(5):
        start = time.process_time()
        decode.decode(data, [ViewSpec(GATE_SIZE, "pad")])
        milliseconds.append(1000 * (time.process_time() - start))
    yield f"core-ms of opening 12 megapixels for the gate: {statistics.median(milliseconds):.0f}"


def report_reading(made: Sequence[Made], outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "\ncharacter error and word recall, by how the text was drawn:"
    for kind in ("height", "angle", "font", "plate"):
        for value in sorted({getattr(one, kind) for one in made}):
            rows = [(m, o) for m, o in zip(made, outcomes, strict=True) if getattr(m, kind) == value]
            yield f"  {kind} {value}: {describe(rows)}"
    yield f"  all: {describe(list(zip(made, outcomes, strict=True)))}"


def describe(rows: Sequence[tuple[Made, Outcome]]) -> str:
    errors = characters = found = words = 0
    for one, outcome in rows:
        told, read = fold(one.text), [fold(line) for line in outcome.lines]
        errors += min((Levenshtein.distance(told, line) for line in read), default=len(told))
        characters += len(told)
        seen = {word for line in outcome.lines for word in line.casefold().split()}
        wanted = one.text.casefold().split()
        found, words = found + sum(word in seen for word in wanted), words + len(wanted)
    return f"character error {errors / characters:.3f}, word recall {found / words:.3f} (n = {len(rows)})"


def fold(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))
