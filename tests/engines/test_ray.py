"""Real Ray on this machine: it writes the rows of a plain index, and a plain index does without it.

Starting Ray takes seconds: those tests are slow, and are skipped where it is not installed.
"""

import importlib.util
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from library import InThisProcess, make
from spread import all_rows, write_photos
from toy import photo, write_toy

from photosearch.engines.driver import ShardOutcome
from photosearch.engines.ray import RayWorkers, _Actor, _ActorState, _check_listening
from photosearch.errors import InputError

MAIN = "from photosearch.cli.app import main; main()"
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.fixture
def library(tmp_path):
    made = make(tmp_path)
    with made.db:
        yield made


def start(library, db: Path, *more: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-c", MAIN, "index", library.folder, "--model", library.model.path, "--db", db,
               "--engine", "ray", "--workers", 2, "--shard-size", 5, "--json", *more]  # fmt: skip
    return subprocess.Popen([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def below(pid: int) -> dict[int, str]:
    """The descendants of a process, with their command lines."""
    parents, names = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            status = (entry / "stat").read_text()
            names[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        parents[int(entry.name)] = int(status.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return {one: names[one] for one in found if one in names}


@pytest.mark.slow
def test_plain_index_imports_no_ray(tmp_path):
    photo(tmp_path / "photos" / "red.png")
    command = f"index {tmp_path}/photos --model {write_toy(tmp_path / 'toy.onnx')} --db {tmp_path}/l.db --provider cpu"
    code = (
        "import sys; from photosearch.cli.app import app; app(sys.argv[1].split(), standalone_mode=False); "
        "print(sorted({'ray', 'pyarrow', 'fsspec', 'photosearch.engines'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, command], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


@pytest.mark.slow
@needs_ray
def test_ray_writes_the_rows_of_a_plain_index_though_an_actor_is_killed(library, tmp_path):
    write_photos(library, 60)
    library.path("broken.jpg").write_bytes(b"no photo")
    running = start(library, tmp_path / "ray.db", "--shards", tmp_path / "shards")
    deadline = time.monotonic() + 120
    killed = None
    while killed is None and time.monotonic() < deadline and running.poll() is None:
        if any((tmp_path / "shards").glob("*.parquet")):
            actors = [pid for pid, name in below(running.pid).items() if name.startswith("ray::_Actor")]
            if actors:
                killed = actors[0]
                os.kill(killed, signal.SIGKILL)
        time.sleep(0.02)
    children = set(below(running.pid)) - {running.pid}
    out, err = running.communicate(timeout=200)
    assert running.returncode == 0, err
    assert (json.loads(out)["new"], json.loads(out)["unreadable"]) == (60, 1)
    library.index(decoders=InThisProcess)
    other = make_like(library, tmp_path / "ray.db")
    with other.db:
        assert all_rows(other) == all_rows(library)
    gone = time.monotonic() + 30
    while (left := {pid for pid in children if is_alive(pid)}) and time.monotonic() < gone:
        time.sleep(0.1)
    assert not left, "nothing of Ray stays behind"


@needs_ray
def test_ray_names_a_missing_token_and_an_unreachable_cluster(library, tmp_path, monkeypatch):
    write_photos(library, 1)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"):
        monkeypatch.delenv(name, raising=False)

    def read_error(address: str) -> str:
        running = start(library, tmp_path / "a.db", "--address", address, "--shards", tmp_path / "s")
        (line,) = running.communicate()[1].splitlines()
        assert running.returncode == 1
        return line

    assert read_error("127.0.0.1:1").startswith(
        "photosearch: 127.0.0.1:1: no token for this cluster; set RAY_AUTH_TOKEN"
    )
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0" * 64)
    assert read_error("127.0.0.1:1").startswith("photosearch: 127.0.0.1:1: no Ray cluster answers there (")
    assert read_error("nowhere").startswith("photosearch: nowhere: not the address of a Ray cluster; give HOST:PORT")


def make_like(library, path: Path):
    from photosearch.library.database import Database

    return type(library)(library.folder, Database(path), library.model)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_engine_says_how_to_install_ray(tmp_path, monkeypatch):
    from photosearch.engines import ray

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--engine ray needs Ray: pip install 'photosearch\[ray\]'"):
        ray.open_engine(None, tmp_path / "l.db", ray.RayOptions())


def test_cluster_that_does_not_answer_is_waited_for_some_seconds(monkeypatch):
    asked = []

    def connect(address, timeout):
        asked.append((address, timeout))
        raise TimeoutError("timed out")

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(InputError, match=r"^\[::1\]:6379: no Ray cluster answers there \(timed out\)"):
        _check_listening("[::1]:6379")
    ((address, seconds),) = asked
    assert address == ("::1", 6379)
    assert 1 <= seconds <= 60


def test_actor_has_the_home_that_it_is_given(monkeypatch):
    monkeypatch.setenv("HOME", "/home/of the node")
    _Actor(None, None)
    assert os.environ["HOME"] == "/home/of the node"
    _Actor(None, "/home/of the driver")
    assert os.environ["HOME"] == "/home/of the driver"


def test_only_shards_that_the_user_placed_are_kept(tmp_path, monkeypatch):
    from photosearch.engines import ray

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)  # it imports nothing yet
    kept = {
        shards: ray.open_engine(shards, tmp_path / "l.db", ray.RayOptions()).keep for shards in (None, f"{tmp_path}/s")
    }
    assert kept == {None: False, f"{tmp_path}/s": True}


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "n"),
    [
        ({"CPU": 16.0}, 1, 0, 16), ({"CPU": 16.0}, 3, 0, 5), ({"CPU": 16.0}, 1, 1, 0), ({}, 1, 0, 0),
        ({"CPU": 16.0, "GPU": 4.0}, 4, 1, 4), ({"CPU": 16.0, "GPU": 4.0}, 8, 1, 2),
        ({"CPU": 16.0, "GPU": 1.0}, 4, 0.5, 2),
    ],
)  # fmt: skip
def test_count_fitting_gives_the_workers_of_a_machine(node, cpus, gpus, n):
    from photosearch.engines.ray import _count_fitting

    assert _count_fitting(node, cpus, gpus) == n


@pytest.mark.parametrize(
    ("asked", "size"),
    [
        ({}, (1, 16)), ({"cpus": 4}, (4, 4)), ({"gpus": 1}, (8, 2)), ({"gpus": 0.5}, (4, 4)),
        ({"cpus": 2, "gpus": 1}, (2, 2)),
    ],
    ids=str,
)  # fmt: skip
def test_choose_size_gives_a_gpu_worker_its_share_of_cores(asked, size):
    from photosearch.engines.ray import RayOptions, choose_size

    assert choose_size([{"CPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}], RayOptions(**asked)) == size


@pytest.mark.parametrize("nodes", [[{"CPU": 4.0}], []], ids=["no GPU", "no machine"])
def test_choose_size_refuses_a_cluster_without_room(nodes):
    from photosearch.engines.ray import RayOptions, choose_size

    with pytest.raises(InputError, match="no machine of the cluster has 1 CPU and 1 GPU for a worker"):
        choose_size(nodes, RayOptions(gpus=1))


def test_process_is_after_ray_as_it_was_before(monkeypatch):
    from photosearch.engines import ray

    services = SimpleNamespace(resolve_ip_for_localhost=len)  # of Ray, which is not needed for it
    monkeypatch.setitem(sys.modules, "ray._private", SimpleNamespace(services=services))
    monkeypatch.setenv("PHOTOSEARCH_THERE", "before")
    monkeypatch.delenv("PHOTOSEARCH_NOT_THERE", raising=False)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with ray._set_environment(dict.fromkeys(("PHOTOSEARCH_THERE", "PHOTOSEARCH_NOT_THERE"), "ray")):
        assert os.environ["PHOTOSEARCH_THERE"] == os.environ["PHOTOSEARCH_NOT_THERE"] == "ray"
        with ray._keep_signal_handlers(), ray._listen_on_loopback():
            assert services.resolve_ip_for_localhost("127.0.0.1") == "127.0.0.1"
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
    assert services.resolve_ip_for_localhost is len
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert (os.environ["PHOTOSEARCH_THERE"], "PHOTOSEARCH_NOT_THERE" in os.environ) == ("before", False)


# ---- what a worker answers


class Answers:
    """Ray's part that hands over an answer."""

    exceptions = SimpleNamespace(RayError=RuntimeError)

    def get(self, answer: object) -> object:
        if isinstance(answer, RuntimeError):
            raise answer
        return answer


def take(answer: object, shard: str | None, failures: int = 0) -> list[ShardOutcome]:
    """What the driver gets to see of an actor's answer. failures: to start one, before."""
    workers = object.__new__(RayWorkers)  # without a cluster
    workers._ray, workers._idle, workers._failures, workers._started = Answers(), [], failures, False
    return list(workers._take(answer, _ActorState(None, "far", shard)))


def test_wait_for_an_answer_ends_after_the_seconds_that_the_driver_gives():
    waits = []

    def wait(refs: list[object], *, num_returns: int, timeout: float) -> tuple[list[object], list[object]]:
        waits.append((refs, num_returns, timeout))
        return [], refs

    workers = object.__new__(RayWorkers)
    workers._ray, workers._busy, workers._idle = SimpleNamespace(wait=wait), {"a": _ActorState(None)}, []
    workers._counted, workers._room, workers._started = math.inf, 1, True  # nothing to start
    assert workers.wait(0.5) == []
    assert waits == [(["a"], 1, 0.5)]


def test_answer_is_one_line_for_the_shard_that_was_given():
    assert take(("far\nhost", ""), None) == []
    assert take(ShardOutcome("a"), "a") == [ShardOutcome("a")]
    said = take(ShardOutcome("a", "died", "x\n\x1b[2J" + "y" * 1000), "a")[0].reason
    assert (said[:7], len(said) <= 500, said.isprintable()) == ("x  [2Jy", True, True)
    with pytest.raises(InputError, match=r"^no such model \[2J$"):
        take(("far", "no such model\x1b[2J"), None)


def test_worker_that_dies_is_the_end_of_its_shard_or_of_a_start():
    (died,) = take(RuntimeError("lost"), "a")
    assert (died.name, died.error) == ("a", "died")
    assert "the worker on far died" in died.reason
    assert take(RuntimeError("lost"), None) == []
    with pytest.raises(InputError, match="no worker could start on the cluster: lost"):
        take(RuntimeError("lost"), None, failures=2)


@pytest.mark.parametrize(
    ("answer", "shard"),
    [(ShardOutcome("a"), None), (("far", ""), "a"), (("far", 1), None), (("far",), None), (None, "a"), (b"", None),
     (ShardOutcome("a", "died", 7), "a")],
)  # fmt: skip
def test_answer_that_makes_no_sense_ends_the_run(answer, shard):
    with pytest.raises(InputError, match="a worker on far gave an answer that makes no sense"):
        take(answer, shard)
