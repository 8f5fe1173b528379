"""A library of fifty thousand photos in the browser: how soon a page, an answer and a thumbnail appear; memory.

Rows are made up and written through the library's own functions. The best few hundred for `bird` are small files that
exist, so that a page has pictures to show; photos of 12 megapixels, for the thumbnails, are made separately. The server
is the command, in a process of its own. The browser is Chromium, driven by Playwright; without these only the server is
measured.
"""

import contextlib
import http.client
import importlib.util
import io
import json
import os
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks import photos
from benchmarks.library import build
from benchmarks.measure import PHOTOSEARCH, Figures, list_processes, median_ms, read_peak_bytes, read_status_bytes
from photosearch import Library
from photosearch.library.schema import VERSION

N_REAL = 400  # photos that exist, the best for `bird`
N_RESULTS = 10_000  # that `bird` finds, scrolled through to the end
PAGE = 120  # photos that a page waits for
QUESTIONS = ("bird", "bird and not dog", "bird or dog", "not bird", "dog")
CONNECTIONS = 6  # of a browser to one server
SCROLL_STEPS = 100
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@dataclass(frozen=True, slots=True)
class Server:
    """`photosearch browse`, running. address: the one that works once."""

    process: "subprocess.Popen[str]"
    address: str
    started_ms: float

    @property
    def home(self) -> str:
        return self.address.partition("/login")[0]

    def peak_mb(self) -> float:
        """Of the server and its decoders: each one's own peak, so that shared pages count twice."""
        return sum(map(read_peak_bytes, list_processes(self.process.pid))) / 2**20

    def resident_mb(self) -> float:
        return read_status_bytes(self.process.pid, "VmRSS") / 2**20


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


def measure_browse(work: Path, *, n: int = 50_000, n_large: int = 40, repeats: int = 10) -> Figures:
    """n: photos in the library. n_large: photos of 12 megapixels to make thumbnails of."""
    real = sorted(photos.write_photos(work, "small", min(N_REAL, n)).rglob("*.jpg"))
    n_results = min(N_RESULTS, n // 5)
    db = build(work / f"browse-{VERSION}-{n}.db", n, real=real, n_birds=n_results)
    large = sorted(photos.write_photos(work, "12mp", n_large).rglob("*.jpg"))
    return {
        "n": n,
        "results": n_results,
        "repeats": repeats,
        "server": measure_server(db, repeats),
        "thumbnails": measure_thumbnails(work, large),
        "browser": measure_browser(db, repeats) if CHROMIUM and importlib.util.find_spec("playwright") else None,
    }


@contextlib.contextmanager
def serve(db: Path) -> Iterator[Server]:
    start = time.perf_counter()
    command = [*PHOTOSEARCH, "browse", "--no-open", "--db", str(db)]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = process.stdout.readline().strip() if process.stdout else ""
        yield Server(process, address, 1000 * (time.perf_counter() - start))
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def log_in(server: Server) -> str:
    """-> the cookie."""
    connection = http.client.HTTPConnection(server.home.removeprefix("http://"), timeout=60)
    headers = {"Origin": server.home, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/login", server.address.partition("?")[2], headers)
    cookie = (connection.getresponse().getheader("set-cookie") or "").partition(";")[0]
    connection.close()
    return cookie


def measure_server(db: Path, repeats: int) -> Figures:
    """Each question over HTTP and, in turn, through the Python interface alone."""
    with (
        serve(db) as server,
        Library(db) as library,
        contextlib.closing(Client(server.home, log_in(server))) as client,
    ):
        at_rest_mb = server.resident_mb()
        questions = [measure_question(client, library, words, repeats) for words in QUESTIONS]
        return {
            "started_ms": server.started_ms,
            "at_rest_mb": at_rest_mb,
            "questions": questions,
            "after_mb": server.resident_mb(),
        }


def measure_question(client: Client, library: Library, words: str, repeats: int) -> Figures:
    """ms: until the first photos are there. total_ms: until it is known how many there are."""
    target = f"/api/find?words={words.replace(' ', '+')}&query_mode=label&copies=1"

    def count() -> int:
        result = json.loads(client.get(target))["result"]
        return int(json.loads(client.get(f"/api/total?result={result}"))["total"])

    found, times = count(), []
    for _ in range(repeats):
        over_http = median_ms(lambda: client.get(target))
        times.append((over_http, median_ms(lambda: library.find(words, query_mode="label", copies=True, limit=PAGE))))
    ms, python_ms = map(statistics.median, zip(*times, strict=True))
    return {"question": words, "found": found, "ms": ms, "python_ms": python_ms, "total_ms": median_ms(count)}


def measure_thumbnails(work: Path, large: Sequence[Path]) -> Figures:
    """Thumbnails a second over HTTP, made and then cached, and by Pillow in this process, one after the other."""
    db = work / "thumbnails.db"
    for stale in work.glob("thumbnails.db*"):
        shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
    build(db, len(large), real=large)
    with serve(db) as server:
        cookie = log_in(server)

        def fetch(i: int) -> int:
            with contextlib.closing(Client(server.home, cookie)) as client:
                return len(client.get(f"/thumbnails/{i}"))

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            times = {
                state: median_ms(lambda: list(pool.map(fetch, range(1, len(large) + 1))))
                for state in ("made", "cached")
            }
        peak_mb = server.peak_mb()
    times["plain"] = median_ms(lambda: [make_thumbnail(path) for path in large])
    size_bytes = sum(f.stat().st_size for f in db.with_name(f"{db.name}.thumbnails").iterdir()) / len(large)
    rates = {state: 1000 * len(large) / ms for state, ms in times.items()}
    return {"n": len(large), "rates": rates, "bytes": size_bytes, "peak_mb": peak_mb}


def make_thumbnail(path: Path) -> bytes:
    """As a plain program would, with libjpeg's own reduction and no child process."""
    out = io.BytesIO()
    with Image.open(path) as image:
        image.draft("RGB", (320, 320))
        image.thumbnail((320, 320))
        image.save(out, "JPEG", quality=80)
    return out.getvalue()


# ---- in Chromium

DRAWN = """async () => {  // until every picture in the window is drawn: ms since navigation
  const visible = () => [...document.querySelectorAll('.tile')].filter((tile) => {
    const box = tile.getBoundingClientRect();
    return box.bottom > 0 && box.top < innerHeight;
  });
  for (;;) {
    const tiles = visible();
    if (tiles.length && tiles.every((tile) => tile.querySelector('img')?.complete)) return performance.now();
    await new Promise(requestAnimationFrame);
  }
}"""
ANSWERED = """async (words) => {  // until the first tiles of another answer are there: ms since Enter
  const before = document.querySelector('.tile'), begun = performance.now();
  document.querySelector('#words').value = words;
  document.querySelector('#search').requestSubmit();
  for (;;) {
    const tile = document.querySelector('.tile');
    if (tile && tile !== before && tile.querySelector('.line')) return performance.now() - begun;
    await new Promise(requestAnimationFrame);
  }
}"""
COUNTED = """async () => {  // until the page knows how many there are
  while (document.querySelector('#summary').textContent.startsWith('More')) await new Promise(requestAnimationFrame);
}"""
SCROLL = """async (steps) => {  // to the end, a step a frame, with pauses for pictures
  for (let i = 1; i <= steps; i += 1) {
    scrollTo(0, i / steps * document.body.scrollHeight);
    await new Promise((done) => setTimeout(done, i % 10 ? 16 : 120));
  }
}"""


def measure_browser(db: Path, repeats: int) -> dict[str, Any]:
    """The first page without and with cached thumbnails, new questions, scrolling to the end of a long answer."""
    from playwright.sync_api import sync_playwright

    with Library(db) as library:
        shutil.rmtree(library.thumbnails_folder, ignore_errors=True)
    with serve(db) as server, sync_playwright() as started:
        chromium = launch(started)
        context = chromium.new_context(viewport={"width": 1280, "height": 860})
        page = open_page(context, server)
        first = []
        for _ in range(repeats + 1):
            page.goto(f"{server.home}/?words=bird")
            first.append(page.evaluate(DRAWN))
        answered = []
        for i in range(repeats):
            answered.append(page.evaluate(ANSWERED, QUESTIONS[i % 4 + 1]))
            page.evaluate(COUNTED)
        page.goto(f"{server.home}/?words=bird")
        page.evaluate(DRAWN)
        session = context.new_cdp_session(page)
        session.send("Performance.enable")
        before = _measure_page(session)
        page.evaluate(SCROLL, SCROLL_STEPS)
        last = page.locator(".tile").last.get_attribute("aria-posinset")
        after = _measure_page(session)
        tiles = page.locator(".tile").count()
        chromium.close()
    return {
        "first_cold_ms": first[0],
        "first_ms": statistics.median(first[1:]),
        "answer_ms": statistics.median(answered),
        "max_answer_ms": max(answered),
        "before": before,
        "after": after,
        "tiles": tiles,
        "end": last,
    }


def launch(started: Any) -> Any:
    """Chromium, of Playwright as it was started."""
    return started.chromium.launch(executable_path=CHROMIUM, args=[] if os.geteuid() else ["--no-sandbox"])


def open_page(context: Any, server: Server) -> Any:
    """A page of a browser that the server has let in."""
    page = context.new_page()
    page.goto(server.address)
    page.click("button[type=submit]")
    page.wait_for_url(f"{server.home}/")
    return page


def _measure_page(session: Any) -> dict[str, float]:
    """After garbage collection: megabytes of the scripts' heap, DOM nodes."""
    session.send("HeapProfiler.collectGarbage")
    metrics = {m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]}
    return {"heap_mb": metrics["JSHeapUsedSize"] / 2**20, "nodes": metrics["Nodes"]}
