"""Screenshots for the README: the page, dark and light, and a contact sheet.

They show only free photographs: eleven that come with scikit-image (`pip install scikit-image`), whose documentation
says of each that it is under CC0 or in the public domain, and crops of them:
- CC0 by their photographers: chelsea (Stefan van der Walt), coffee (Rachel Michetti), camera (Lav Varshney); by their
  sources: brick and gravel (CC0Textures), grass (linolafett), retina (Mikael Häggström)
- in the public domain: astronaut and hubble_deep_field (NASA), rocket (SpaceX), clock_motion (Stefan van der Walt)

    python -m benchmarks screenshots --to docs/images
"""

import importlib.util
import io
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from benchmarks.browse import CHROMIUM, DRAWN, Server, launch, open_page, serve
from benchmarks.measure import PHOTOSEARCH

PHOTOS = {
    "astronaut.png": "astronaut", "brick.png": "bricks", "camera.png": "cameraman", "chelsea.png": "cat",
    "clock_motion.png": "clock", "coffee.png": "coffee", "grass.png": "grass", "gravel.png": "gravel",
    "hubble_deep_field.jpg": "galaxies", "retina.jpg": "retina", "rocket.jpg": "rocket",
}  # fmt: skip
CROPS = {"": (0, 0, 1, 1), " closer": (0.12, 0.1, 0.82, 0.9), " to the right": (0.3, 0.05, 1, 0.95)}
QUALITY = 82


def take_screenshots(to: Path) -> list[Path]:
    """Index the photographs in a folder of their own, search, and take pictures of the answers."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None or CHROMIUM is None:
        raise SystemExit("this needs scikit-image (pip install scikit-image) and Chromium (apt-get install chromium)")
    with TemporaryDirectory() as work:
        photos = write_photos(Path(work) / "Pictures", Path(found.origin).parent / "data")
        db = Path(work) / "library.db"
        run("index", photos, "--db", db)
        run("sample", "cat", "-n", 12, "--to", Path(work) / "sheet", "--db", db)
        made = [_keep(to / "contact-sheet.jpg", next((Path(work) / "sheet").glob("*.jpg")).read_bytes())]
        judged = [p for p in photos.rglob("*.jpg") if p.name != "cat.jpg" and p.parent.name[0] in "abcg"]
        for is_one, option in ((True, "--is"), (False, "--not")):
            run("mark", *(p for p in judged if p.name.startswith("cat") == is_one), option, "cat", "--db", db)
        with serve(db) as server:
            made += _photograph(server, to)
    return made


def write_photos(to: Path, source: Path) -> Path:
    for file, name in PHOTOS.items():
        with Image.open(source / file) as image:
            whole = image.convert("RGB")
        whole.thumbnail((1200, 1200))
        for part, (left, top, right, bottom) in CROPS.items():
            path = to / name / f"{name}{part}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            w, h = whole.size
            whole.crop((int(left * w), int(top * h), int(right * w), int(bottom * h))).save(path, quality=92)
    return to


def run(*arguments: object) -> None:
    subprocess.run([*PHOTOSEARCH, *map(str, arguments)], check=True, capture_output=True)


def _photograph(server: Server, to: Path) -> list[Path]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        chromium = launch(started)
        first = chromium.new_context()
        open_page(first, server)
        made = []
        for name, path, scheme, ready in (
            ("search.jpg", "/?words=a+cup+of+coffee", "light", None),
            ("judge.jpg", "/judge?label=cat", "dark", "#shares tr"),
        ):
            context = chromium.new_context(
                storage_state=first.storage_state(), color_scheme=scheme, viewport={"width": 1200, "height": 760}
            )
            made.append(_keep(to / name, _shoot(context.new_page(), server.home + path, ready)))
            context.close()
        chromium.close()
    return made


def _shoot(page: Any, address: str, ready: str | None) -> bytes:
    page.goto(address)
    if ready is None:
        page.evaluate(DRAWN)
    else:
        page.wait_for_selector(ready)
    page.wait_for_load_state("networkidle")
    return bytes(page.screenshot())


def _keep(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").save(path, quality=QUALITY, optimize=True)
    return path
