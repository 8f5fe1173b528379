"""A library of fifty thousand photos in the browser: how soon a page, a question, a thumbnail is there; memory.

Rows are made up and written through the library's own methods. The best few hundred for `bird` are files that exist,
small ones, so that a page has pictures to show; photos of 12 megapixels, for the thumbnails, are made apart. The server
is the command, in a process of its own. The browser is the machine's Chromium, driven by Playwright, where both are
there; without, only the server is measured.
"""

import contextlib
import http.client
import io
import json
import os
import random
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import pictures
from benchmarks.library import CARD
from benchmarks.measure import _family, _high_water
from photosearch import Library
from photosearch.library.database import Database
from photosearch.library.folders import add_root, put_folder
from photosearch.library.models import put_model, set_default_model
from photosearch.library.photos import FileRecord, put_image, put_photo
from photosearch.library.runs import begin_run, end_run
from photosearch.library.scores import put_prediction
from photosearch.photos.decode import content_hash

REAL = 400  # photos that exist, the best for `bird`
RESULTS = 10_000  # that `bird` finds, scrolled through to the end
QUESTIONS = ("bird", "bird and not dog", "bird or dog", "not bird", "dog")
AT_ONCE = 6  # what a browser asks of one server
STEPS = 100  # of the way to the end
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass(frozen=True, slots=True)
class Server:
    """`photosearch browse`, running. address: the one that works once."""

    process: "subprocess.Popen[str]"
    address: str
    started_ms: float

    @property
    def home(self) -> str:
        return self.address.partition("/enter")[0]

    def peak_mb(self) -> float:
        """Of the server and its decoders, each one's own peak, so that shared pages count twice."""
        return sum(map(_high_water, _family(self.process.pid))) / 2**20

    def resident_mb(self) -> float:
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) / 1024


class Client:
    """Asks the server over one connection, with the cookie."""

    def __init__(self, home: str, cookie: str):
        self.host, self.cookie = home.removeprefix("http://"), cookie
        self._connection = http.client.HTTPConnection(self.host, timeout=120)

    def close(self) -> None:
        self._connection.close()

    def get(self, target: str) -> bytes:
        self._connection.request("GET", target, headers={"Cookie": self.cookie})
        given = self._connection.getresponse()
        data = given.read()
        if given.status != 200:
            raise RuntimeError(f"{target}: {given.status} {data[:200]!r}")
        return data


def browse(work: Path, *, n: int = 50_000, n_large: int = 40, repeats: int = 10) -> dict[str, Any]:
    """work: where the photos and the library are kept. n_large: photos of 12 megapixels to make thumbnails of."""
    real = pictures.write(work, "small", min(REAL, n))
    db = build(work / f"browse-{n}.db", n, sorted(real.rglob("*.jpg")))
    large = sorted(pictures.write(work, "12mp", n_large).rglob("*.jpg"))
    with Library(db) as library:
        shutil.rmtree(library.thumbnails_folder, ignore_errors=True)
    return {
        "n": n, "results": min(RESULTS, n // 5), "repeats": repeats, "at_once": AT_ONCE,
        "server": measure_server(db, repeats), "thumbnails": measure_thumbnails(work, large),
        "browser": measure_browser(db, repeats) if CHROMIUM and has_playwright() else None,
    }  # fmt: skip


def build(db: Path, n: int, real: Sequence[Path], *, seed: int = 1) -> Path:
    """n photos, of which the first are `real`; a fifth of them, and those first, show a bird."""
    if db.exists():
        return db
    db.parent.mkdir(parents=True, exist_ok=True)
    aside = db.with_suffix(".part")
    aside.unlink(missing_ok=True)
    rng, birds = random.Random(seed), min(RESULTS, n // 5)
    with Database(aside, create=True) as store:
        model_id, labels = put_model(store, CARD, "0" * 16, 0)
        set_default_model(store, CARD.name)
        end_run(store, begin_run(store, [CARD.name], "cpu"), {})
        made_up, there = add_root(store, "/photos"), add_root(store, str(real[0].parents[1]))
        for first in range(0, n, 1000):
            with store.transaction():
                for i in range(first, min(first + 1000, n)):
                    exists = i < len(real)
                    path = real[i] if exists else Path(f"/photos/{i // 1000:04d}/IMG_{i:07d}.jpg")
                    hashed = content_hash(path.read_bytes()) if exists else rng.randbytes(32)
                    taken = f"2026-{i % 12 + 1:02d}-{i % 28 + 1:02d}T12:00:00"
                    image = put_image(store, hashed, 640, 480, taken, "DateTimeOriginal", i)
                    folder = put_folder(store, there if exists else made_up, str(path.parent))
                    put_photo(store, folder, path.name, FileRecord(200_000, i, i, 1, i), image)
                    bird = 1 - i / (4 * birds) if i < birds else 0.4 * rng.random()
                    put_prediction(store, image, model_id, labels, {"bird": bird, "dog": rng.random() ** 6.58})
    aside.replace(db)
    return db


@contextlib.contextmanager
def serving(db: Path) -> Iterator[Server]:
    begun = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "from photosearch.cli.app import main; main()",
        "browse",
        "--no-open",
        "--db",
        str(db),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        yield Server(process, address, 1000 * (time.perf_counter() - begun))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def come_in(server: Server) -> str:
    """-> the cookie."""
    connection = http.client.HTTPConnection(server.home.removeprefix("http://"), timeout=60)
    connection.request("GET", server.address.removeprefix(server.home))
    cookie = (connection.getresponse().getheader("set-cookie") or "").partition(";")[0]
    connection.close()
    return cookie


def measure_server(db: Path, repeats: int) -> dict[str, Any]:
    """What each question takes over HTTP and, in turn with it, by the Python interface alone."""
    with (
        serving(db) as server,
        Library(db) as library,
        contextlib.closing(Client(server.home, come_in(server))) as client,
    ):
        rows: list[dict[str, Any]] = []
        at_rest = server.resident_mb()
        for words in QUESTIONS:
            target = f"/api/find?words={words.replace(' ', '+')}"
            told = json.loads(client.get(target))
            total = json.loads(client.get(f"/api/total?result={told['result']}"))["total"]
            by_http, by_python = [], []
            for _ in range(repeats):
                by_http.append(milliseconds(lambda target=target: client.get(target)))
                by_python.append(milliseconds(lambda words=words: library.find(words, limit=120, most_similar=120)))
            whole = milliseconds(lambda target=target: _whole(client, target))
            rows.append({"question": words, "found": total, "ms": statistics.median(by_http), "whole_ms": whole,
                         "python_ms": statistics.median(by_python)})  # fmt: skip
        return {"started_ms": server.started_ms, "at_rest_mb": at_rest, "questions": rows,
                "after_mb": server.resident_mb(), "peak_mb": server.peak_mb()}  # fmt: skip


def _whole(client: Client, target: str) -> None:
    told = json.loads(client.get(target))
    client.get(f"/api/total?result={told['result']}")


def measure_thumbnails(work: Path, large: Sequence[Path]) -> dict[str, Any]:
    """Thumbnails a second over HTTP: made, kept, and by Pillow in this very process, one after the other."""
    db = work / "thumbnails.db"
    for stale in work.glob("thumbnails.db*"):
        shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    build(db, len(large), large)
    with serving(db) as server:
        cookie = come_in(server)
        with ThreadPoolExecutor(AT_ONCE) as pool:

            def fetch_one(i: int) -> int:
                with contextlib.closing(Client(server.home, cookie)) as client:
                    return len(client.get(f"/thumbnails/{i}"))

            def fetch() -> None:
                list(pool.map(fetch_one, range(1, len(large) + 1)))

            made, kept = milliseconds(fetch), milliseconds(fetch)
        peak = server.peak_mb()
        size = sum(f.stat().st_size for f in db.with_name(f"{db.name}.thumbnails").iterdir()) / len(large)
    alone = milliseconds(lambda: [plain_thumbnail(path) for path in large])
    rate = {name: 1000 * len(large) / ms for name, ms in (("made", made), ("kept", kept), ("plain", alone))}
    return {"n": len(large), "a_second": rate, "bytes": size, "peak_mb": peak}


def plain_thumbnail(path: Path) -> bytes:
    """As a program without a wall would make it, with libjpeg's own reduction."""
    out = io.BytesIO()
    with Image.open(path) as image:
        image.draft("RGB", (320, 320))
        image.thumbnail((320, 320))
        image.save(out, "JPEG", quality=80)
    return out.getvalue()


def milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - begun)


# ---- in Chromium

DRAWN = """async () => {  // until every picture in the window is drawn, in ms since the page was asked for
  const seen = () => [...document.querySelectorAll('.tile')].filter((tile) => {
    const box = tile.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  });
  for (;;) {
    const tiles = seen();
    if (tiles.length && tiles.every((tile) => tile.querySelector('img')?.complete)) return performance.now();
    await new Promise(requestAnimationFrame);
  }
}"""
ASKED = """async (words) => {  // until the first tiles of another answer are there, in ms since Enter
  const before = document.querySelector('.tile'), begun = performance.now();
  document.querySelector('#words').value = words;
  document.querySelector('#ask').requestSubmit();
  for (;;) {
    const tile = document.querySelector('.tile');
    if (tile && tile !== before && tile.querySelector('.line')) return performance.now() - begun;
    await new Promise(requestAnimationFrame);
  }
}"""
SETTLED = """async () => {  // until the page knows how many there are, as it does before a person asks again
  while (document.querySelector('#told').textContent.startsWith('More')) await new Promise(requestAnimationFrame);
}"""
SCROLLED = """async (steps) => {  // to the end, a step a frame and a rest for pictures now and then
  for (let i = 1; i <= steps; i += 1) {
    scrollTo(0, i / steps * document.body.scrollHeight);
    await new Promise((done) => setTimeout(done, i % 10 ? 16 : 120));
  }
}"""


def measure_browser(db: Path, repeats: int) -> dict[str, Any]:
    """First page with nothing kept and with all kept, new questions, the way to the end of a long answer."""
    from playwright.sync_api import sync_playwright

    with Library(db) as library:
        shutil.rmtree(library.thumbnails_folder, ignore_errors=True)
    with serving(db) as server, sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=[] if os.geteuid() else ["--no-sandbox"])
        context = chromium.new_context(viewport={"width": 1280, "height": 860})
        page = context.new_page()
        page.goto(server.address)
        page.wait_for_url(f"{server.home}/")
        first = []
        for _ in range(repeats + 1):
            page.goto(f"{server.home}/?words=bird")
            first.append(page.evaluate(DRAWN))
        asked = []
        for i in range(repeats):
            asked.append(page.evaluate(ASKED, QUESTIONS[i % 4 + 1]))
            page.evaluate(SETTLED)
        page.goto(f"{server.home}/?words=bird")
        page.evaluate(DRAWN)
        session = context.new_cdp_session(page)
        session.send("Performance.enable")
        before = _weigh(session)
        page.evaluate(SCROLLED, STEPS)
        last = page.locator(".tile").last.get_attribute("aria-posinset")
        after = _weigh(session)
        tiles = page.locator(".tile").count()
        chromium.close()
    return {"first_cold_ms": first[0], "first_ms": statistics.median(first[1:]), "asked_ms": statistics.median(asked),
            "asked_most_ms": max(asked), "before": before, "after": after, "tiles": tiles, "end": last}  # fmt: skip


def _weigh(session: Any) -> dict[str, float]:
    """What a page holds once its garbage is gone: megabytes of its scripts' memory, elements."""
    session.send("HeapProfiler.collectGarbage")
    told = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return {"heap_mb": told["JSHeapUsedSize"] / 2**20, "nodes": told["Nodes"]}


def has_playwright() -> bool:
    import importlib.util

    return importlib.util.find_spec("playwright") is not None
