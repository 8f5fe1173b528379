"""Downloading a model from a local server with a hub's paths. It was run against nothing else.

What a hub answers, as its client asks it: /api/models/REPOSITORY/revision/REVISION says which files there are, and
/REPOSITORY/resolve/REVISION/FILE gives one, from any byte on.
"""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from toy import COLOURS
from two_towers import ROWS, put, reads, sees, transformers_js

from photosearch.errors import InputError, ModelError
from photosearch.models.catalog import list_added, read_card, resolve, text_model_for
from photosearch.models.hub import OFFERS, count_pulled_bytes, find_offer, measure_offer, pull_model
from photosearch.models.layouts import CLIP_VOCABULARY
from photosearch.models.session import Model
from photosearch.models.text import TextModel
from photosearch.models.two_tower import remove_model
from photosearch.web.model_pulls import STOPPED, ModelPulls, PullState

pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.filterwarnings("ignore")  # of other people's packages
ROOT = Path(__file__).parents[2]
NAME = "clip-b32"
FIRST, SECOND = "a" * 40, "b" * 40  # two revisions


@dataclass
class Hub:
    """files: of the revision, by name. lies: the SHA-256 it claims, where it isn't the file's. breaks: the file that
    it breaks off in the middle, so many times. asked: what was asked for."""

    files: dict[str, bytes]
    revision: str = FIRST
    lies: dict[str, str] = field(default_factory=dict)
    breaks: str = ""
    times: int = 0
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    address: str = ""

    def info(self, repository: str) -> dict[str, object]:
        siblings = [
            {"rfilename": name, "size": len(data), "blobId": "0" * 40,
             "lfs": {"sha256": self.digest(name), "size": len(data), "pointerSize": 100}}
            for name, data in self.files.items()
        ]  # fmt: skip
        return {"id": repository, "modelId": repository, "sha": self.revision, "siblings": siblings, "tags": [],
                "private": False, "downloads": 0, "likes": 0}  # fmt: skip

    def digest(self, name: str) -> str:
        return self.lies.get(name) or hashlib.sha256(self.files[name]).hexdigest()


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def answer(self, status: int, body: bytes, head: bool = False, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if not head:
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET(head=True)

        def do_GET(self, head: bool = False) -> None:
            path = self.path.partition("?")[0]
            hub.asked.append(path)
            hub.headers.append(dict(self.headers))
            if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)(/revision/.+)?", path):
                return self.answer(200, json.dumps(hub.info(found[1])).encode(), Content_Type="application/json")
            found = re.fullmatch(r"/[^/]+/[^/]+/(?:resolve|store)/([^/]+)/(.+)", path)
            if found and "/resolve/" in path and found[2].endswith(".onnx"):  # large files lie elsewhere
                return self.answer(302, b"", Location=path.replace("/resolve/", "/store/"))
            if not found or found[2] not in hub.files or found[1] != hub.revision:
                return self.answer(404, b"{}", X_Error_Code="EntryNotFound")
            data = hub.files[found[2]]
            tags = {"ETag": f'"{hub.digest(found[2])}"', "X-Repo-Commit": hub.revision, "Accept-Ranges": "bytes"}
            status = 200
            if wanted := re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range", "")):
                start = int(wanted[1])
                hub.ranges.append(f"{found[2]} from {start}")
                tags["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
                status, data = 206, data[start:]
            if hub.breaks == found[2] and hub.times and not head:
                hub.times -= 1
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **tags}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                self.close_connection = True
                return None
            return self.answer(status, data, head, **tags)

    return Handler


def files_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    hub = Hub(files_of(transformers_js(tmp_path / "published")))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHOTOSEARCH_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    return tmp_path / "models"


def see_red(name: str) -> list[float]:
    model = Model(resolve(name), provider="cpu")
    size = model.card.input_size
    (vector,) = model.predict(np.full((1, 1, size, size, 3), COLOURS["red"], np.uint8)).vectors
    return vector.round(4).tolist()


def test_pulled_model_works_like_any_other(hub, shelf):
    done = pull_model(NAME, endpoint=hub.address)
    assert (done.name, done.image_card.licence, done.layout) == (NAME, "MIT", "transformers.js")
    assert done.image_card.details == {
        "layout": "transformers.js",
        "repository": OFFERS[NAME].repository,
        "revision": FIRST,
    }
    assert see_red(NAME) == [0.5, -0.5, -0.5, 0.5]
    assert TextModel(text_model_for(read_card(resolve(NAME)).space)).embed(["red"]).shape == (1, 4)
    assert sorted(p.name for p in shelf.iterdir()) == [NAME, "pulled.json"], "and nothing else is left"


def test_pull_records_revision_and_digests(hub, shelf):
    pull_model(NAME, endpoint=hub.address)
    record = json.loads((shelf / "pulled.json").read_text())[NAME]
    assert (record["repository"], record["revision"]) == (OFFERS[NAME].repository, FIRST)
    assert record["files"] == {name: hashlib.sha256(data).hexdigest() for name, data in hub.files.items()}


def test_pull_sends_no_token(hub):
    pull_model(NAME, endpoint=hub.address)
    assert not [headers for headers in hub.headers if "authorization" in {name.lower() for name in headers}]
    assert not any("hf_secret" in value for headers in hub.headers for value in headers.values())


def test_pull_requests_recorded_revision(hub):
    pull_model(NAME, endpoint=hub.address)
    remove_model(NAME)
    hub.asked.clear()
    pull_model(NAME, endpoint=hub.address)
    assert hub.asked[0] == f"/api/models/{OFFERS[NAME].repository}/revision/{FIRST}"


def test_pull_rejects_other_revision(hub):
    pull_model(NAME, endpoint=hub.address)
    remove_model(NAME)
    hub.revision = SECOND
    with pytest.raises(ModelError, match=f"the hub gives revision {SECOND}, but {FIRST} was pulled before"):
        pull_model(NAME, endpoint=hub.address)
    assert list_added() == {}


def test_pull_rejects_other_file_of_same_revision(hub, tmp_path):
    pull_model(NAME, endpoint=hub.address)
    remove_model(NAME)
    pulled = hub.files["onnx/vision_model.onnx"]
    hub.files["onnx/vision_model.onnx"] = sees(tmp_path / "other.onnx", drift=0.01).read_bytes()
    with pytest.raises(ModelError, match=r"onnx/vision_model.onnx is not the file that was pulled before"):
        pull_model(NAME, endpoint=hub.address)
    assert list_added() == {}
    hub.files["onnx/vision_model.onnx"] = pulled
    assert pull_model(NAME, endpoint=hub.address).name == NAME, "the refused file is in nobody's way"


def test_pull_rejects_file_with_wrong_sha256(hub, shelf):
    hub.lies["onnx/text_model.onnx"] = "0" * 64
    with pytest.raises(ModelError, match=r"onnx/text_model.onnx doesn't match the hub's SHA-256") as refused:
        pull_model(NAME, endpoint=hub.address)
    assert "\n" not in str(refused.value)
    assert list_added() == {}
    assert not (shelf / "pulled.json").exists()


def test_pull_fetches_a_file_again_that_came_damaged(hub):
    whole = hub.files["onnx/text_model.onnx"]
    hub.lies["onnx/text_model.onnx"] = hashlib.sha256(whole).hexdigest()
    hub.files["onnx/text_model.onnx"] = whole[:-1] + b"\0"
    with pytest.raises(ModelError, match="pull it again"):
        pull_model(NAME, endpoint=hub.address)
    hub.files["onnx/text_model.onnx"] = whole
    assert pull_model(NAME, endpoint=hub.address).name == NAME


def test_pull_resumes_interrupted_download(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 2**18)  # it keeps whole pieces, of 10 MB
    monkeypatch.setattr("time.sleep", lambda _: None)  # between its own tries
    rows = np.pad(np.array(ROWS, np.float32), ((0, 300_000), (0, 0)))
    hub.files["onnx/text_model.onnx"] = reads(tmp_path / "large.onnx", rows=rows).read_bytes()
    hub.breaks, hub.times = "onnx/text_model.onnx", 1_000
    with pytest.raises(ModelError, match=f"`photosearch models pull {NAME}` resumes it"):
        pull_model(NAME, endpoint=hub.address)
    assert list_added() == {}
    hub.times = 0
    hub.ranges.clear()
    hub.asked.clear()
    pull_model(NAME, endpoint=hub.address)
    assert [line for line in hub.ranges if re.fullmatch(r"onnx/text_model.onnx from [1-9]\d*", line)]
    assert see_red(NAME) == [0.5, -0.5, -0.5, 0.5]


def test_pull_fetches_external_weights(hub, tmp_path):
    folder = transformers_js(tmp_path / "more", image={"outside": "vision_model.onnx_data"})
    hub.files = files_of(folder)
    pull_model(NAME, endpoint=hub.address)
    assert see_red(NAME) == [0.5, -0.5, -0.5, 0.5]


def test_pull_reports_missing_weights(hub, tmp_path):
    folder = transformers_js(tmp_path / "more", image={"outside": "vision_model.onnx_data"})
    hub.files = files_of(folder)
    del hub.files["onnx/vision_model.onnx_data"]
    with pytest.raises(ModelError, match="which the hub doesn't have"):
        pull_model(NAME, endpoint=hub.address)
    assert list_added() == {}


def test_pull_reports_missing_file_before_fetching(hub):
    del hub.files["tokenizer.json"]
    with pytest.raises(ModelError, match=r"no longer has tokenizer.json"):
        pull_model(NAME, endpoint=hub.address)
    assert len(hub.asked) == 1


def test_pull_does_not_add_broken_model(hub, tmp_path):
    put(tmp_path / "config.json", {})
    hub.files["preprocessor_config.json"] = b"[]"
    with pytest.raises(ModelError, match="is not a JSON object"):
        pull_model(NAME, endpoint=hub.address)
    assert list_added() == {}


def test_pull_reports_unreachable_hub_in_one_line(hub):
    with pytest.raises(ModelError, match="asking for Xenova/clip-vit-base-patch32 failed") as refused:
        pull_model(NAME, endpoint="http://127.0.0.1:9")
    assert "\n" not in str(refused.value)


def test_pull_supports_rclip_layout(hub, tmp_path):
    wanted = find_offer("openclip-b32-256")
    visual, textual, pairs = wanted.files
    assert pairs == CLIP_VOCABULARY
    rows = np.random.default_rng(0).random((517, 4))
    hub.files = {
        visual: sees(tmp_path / "v.onnx", name="input", given="output").read_bytes(),
        textual: reads(tmp_path / "t.onnx", name="input", given="output", shape=("N", 77), rows=rows).read_bytes(),
        pairs: gzip.compress(b"#version: 0.2\nr e\nre d</w>\na b\n"),
        "README.md": b"# Models",
    }
    assert pull_model(wanted.name, endpoint=hub.address).layout == "rclip"


def test_find_offer_has_licence():
    assert {name: one.licence for name, one in OFFERS.items()} == {
        "siglip2-b32-256": "Apache-2.0", "openclip-b32-256": "MIT", "clip-b32": "MIT",
    }  # fmt: skip
    assert find_offer(NAME).description == "OpenAI's CLIP ViT-B/32: the original"
    with pytest.raises(ModelError, match="no model 'dalle' is offered: give one of siglip2-b32-256, openclip-b32-256"):
        find_offer("dalle")


def test_pull_rejects_existing_model(hub):
    pull_model(NAME, endpoint=hub.address)
    hub.asked.clear()
    with pytest.raises(ModelError, match=f"there is a model {NAME} already"):
        pull_model(NAME, endpoint=hub.address)
    assert hub.asked == []


def test_pull_rejects_unreadable_record(hub, shelf):
    shelf.mkdir()
    for text in ("{", "[]", '{"clip-b32": {}}', '{"clip-b32": {"revision": 1, "files": {}}}'):
        (shelf / "pulled.json").write_text(text)
        with pytest.raises(ModelError, match="can't read what was pulled before"):
            pull_model(NAME, endpoint=hub.address)


@pytest.mark.slow
def test_pull_contacts_only_hub_of_environment(hub, tmp_path):
    program = """if True:
        import sys
        def watch(event, arguments):
            if event == "socket.connect":
                print("connected", arguments[1])
            if event == "socket.getaddrinfo":
                print("looked up", arguments[0])
        sys.addaudithook(watch)
        import photosearch.models.hub, photosearch.models.two_tower, photosearch.models.text
        photosearch.models.hub.find_offer("clip-b32")
        print("huggingface_hub" in sys.modules)
        photosearch.models.hub.pull_model("clip-b32")
    """
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HF_ENDPOINT": hub.address, "PHOTOSEARCH_MODELS": str(tmp_path / "models"), "HOME": str(home),
                   "PYTHONPATH": str(ROOT)}  # fmt: skip
    done = subprocess.run([sys.executable, "-P", "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == "False", "what is offered is said without the hub's package"
    assert {line for line in told[1:] if "127.0.0.1" not in line} == set()
    assert any(line.startswith("connected") for line in told[1:])
    assert list(home.rglob("*")) == [], "nothing is left in the home folder"


def test_measure_offer_counts_what_a_pull_fetches(hub, shelf):
    hub.files["onnx/vision_model_fp16.onnx"] = b"x" * 1000  # other files of the repository
    hub.files["README.md"] = b"# Models"
    wanted = [name for name in hub.files if name in (*OFFERS[NAME].files, *OFFERS[NAME].optional_files)]
    assert measure_offer(NAME, endpoint=hub.address) == sum(len(hub.files[name]) for name in wanted) > 0
    assert hub.asked == ["/api/models/Xenova/clip-vit-base-patch32"], "and no file"
    assert not shelf.exists()
    hub.files["onnx/text_model.onnx_data"] = b"x" * 500
    before = sum(len(hub.files[name]) for name in wanted)
    assert measure_offer(NAME, endpoint=hub.address) == before + 500


def test_measure_offer_reports_unreachable_hub_in_one_line(hub):
    with pytest.raises(ModelError, match="clip-b32: asking for Xenova/clip-vit-base-patch32 failed"):
        measure_offer(NAME, endpoint="http://127.0.0.1:1")


@pytest.mark.slow
def test_page_downloads_only_what_was_agreed_to(hub, shelf, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    size_bytes = measure_offer(NAME, endpoint=hub.address)
    with closing(ModelPulls()) as pulls:
        monkeypatch.setattr("photosearch.measure_model_offer", lambda name: measure_offer(name, endpoint=hub.address))
        with pytest.raises(InputError, match=r"clip-b32: takes .* bytes now; nothing was downloaded; ask again"):
            pulls.start(NAME, size_bytes - 1)
        assert not shelf.exists()
        assert pulls.start(NAME, size_bytes).running
        with pytest.raises(InputError, match="clip-b32 is being downloaded"):
            pulls.start(NAME, size_bytes)
        pulls.stop()
        assert pulls.wait() == PullState(NAME, size_bytes=size_bytes, error=STOPPED)
        pulls.start(NAME, size_bytes)
        assert pulls.wait().error is None
    assert NAME in list_added(shelf)
    assert count_pulled_bytes(NAME) == 0, "nothing is left of the download"


def test_count_pulled_bytes_of_a_broken_download(hub, shelf):
    hub.lies["onnx/text_model.onnx"] = "0" * 64
    with pytest.raises(ModelError, match="doesn't match"):
        pull_model(NAME, endpoint=hub.address)
    assert 0 < count_pulled_bytes(NAME) < measure_offer(NAME, endpoint=hub.address)


@pytest.mark.slow
def test_download_sends_no_telemetry():
    """Read at import, so that a process of its own tells."""
    code = """
from photosearch.models.hub import _import_hub
_import_hub()
from huggingface_hub import constants
print(constants.HF_HUB_DISABLE_TELEMETRY, constants.HF_HUB_DISABLE_XET)
"""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == "True True\n"
