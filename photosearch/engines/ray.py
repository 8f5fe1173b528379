"""Workers by Ray Core: an actor a core, or a GPU, on as many machines as a cluster has. https://docs.ray.io/

Each actor has one shard in hand; what it made stands in the store, and its answer is a few words. Ray restarts and
retries nothing: that is driver.py's, which can tell a machine that was lost from a photo that kills.

Nothing is sent and nobody is let in, as far as settings can see to it: Ray's reports are off, a report that is made all
the same has nowhere to go, no cloud is asked who we are, and who would talk to a node needs its token. docs/scale.md
says what a cluster exposes all the same.
"""

import contextlib
import functools
import importlib.util
import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photosearch.engines.driver import Driver, ShardOutcome
from photosearch.engines.sharding import PHOTOS_PER_SHARD
from photosearch.engines.shards import ModelRef, Shard
from photosearch.engines.store import Store, open_store
from photosearch.engines.worker import Worker, WorkerConfig
from photosearch.errors import InputError
from photosearch.index.run import Work

NEEDS = "--engine ray needs Ray: pip install 'photosearch[ray]'"
SETTINGS = {  # for each process that imports ray, before it does
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # nobody listens there: Ray may report all the same
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
BOOTSTRAP = "ray_bootstrap_config.yaml"  # in HOME: a cluster whose kind is known asks no cloud's metadata address
OBJECTS_BYTES = 100_000_000  # of shared memory: shards are lists of names, and nothing else goes through Ray
LOOK_SECONDS = 10.0  # between looks for machines that have joined
ANSWER_SECONDS = 10.0  # that a cluster may take to let us connect
START_SECONDS = 300.0  # that the first worker may take
START_FAILURES = 3  # one after another


@dataclass(frozen=True, slots=True)
class RayOptions:
    """address: of a cluster, HOST:PORT; None starts Ray on this machine for this run. cpus, gpus: of each actor."""

    address: str | None = None
    cpus: int | None = None
    gpus: float = 0.0
    provider: str = "auto"


def open_engine(shards: str | None, beside: Path, options: RayOptions, photos: int | None = None) -> Driver:
    """An engine of the index. shards: their place; None is one beside the library, emptied as the library takes them.

    Raises InputError where Ray is not installed, or the place can't be used.
    """
    if not all(map(importlib.util.find_spec, ("ray", "pyarrow"))):  # not imported: it would read its settings now
        raise InputError(NEEDS)
    store = open_store(shards or f"{os.path.abspath(beside)}.shards")
    return Driver(
        store, lambda work: RayWorkers(work, store, options), photos or PHOTOS_PER_SHARD, keep=shards is not None
    )


class _Actor:
    """What Ray runs on a node."""

    def __init__(self, job: WorkerConfig, home: str | None):
        if home is not None:
            os.environ["HOME"] = home
        self._job = job

    def begin(self) -> tuple[str, str]:
        """-> (the machine, what is wrong or '')."""
        import platform

        try:
            self._worker = Worker(self._job)
        except Exception as error:
            return platform.node(), str(error) or type(error).__name__
        return platform.node(), ""

    def look(self, shard: Shard) -> ShardOutcome:
        return self._worker.look(shard)


@dataclass(slots=True)
class _Hand:
    """One actor. shard: the name of what it has in hand, None while it starts."""

    actor: Any
    host: str = ""
    shard: str | None = None


@dataclass(slots=True)
class RayWorkers:
    """See driver.Workers."""

    work: Work
    store: Store
    options: RayOptions
    _ray: Any = None
    _cluster: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _busy: dict[Any, _Hand] = field(default_factory=dict)
    _idle: list[_Hand] = field(default_factory=list)
    _looked: float = -1e9
    _room: int = 0
    _started: bool = False
    _begun: float = 0.0
    _failures: int = 0
    _remote: Any = None
    _job: WorkerConfig | None = None

    def __post_init__(self) -> None:
        try:
            self._ray, home = self._cluster.enter_context(_cluster(self.options, self.work.options.workers))
            self._begun = time.monotonic()
            cpus, here = choose_size(self._nodes(), self.options)
            probe = f"probe-{secrets.token_hex(8)}"
            self.store.put(probe, b"of a driver")
            self._cluster.callback(self.store.remove, probe)
            self._job = WorkerConfig(
                tuple(ModelRef.by(reading) for reading in self.work.readings),
                tuple(os.path.abspath(reading.model.path) for reading in self.work.readings),
                tuple(self.work.roots), self.store.place, probe, self.options.provider, cpus, here,
                self.work.options.batch_size,
            )  # fmt: skip
            actor = self._ray.remote(num_cpus=cpus, num_gpus=self.options.gpus, max_restarts=0, max_task_retries=0)
            self._remote = lambda: actor(_Actor).remote(self._job, home)
        except BaseException:
            self._cluster.close()
            raise

    def free(self) -> int:
        self._grow()
        return len(self._idle)

    def give(self, shard: Shard) -> None:
        hand = self._idle.pop()
        hand.shard = shard.name
        self._busy[hand.actor.look.remote(shard)] = hand

    def wait(self, seconds: float) -> Sequence[ShardOutcome]:
        self._grow()
        if not self._busy:
            time.sleep(seconds)  # until a machine joins
            return []
        ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=seconds)
        return [ended for ref in ready for ended in self._take(ref, self._busy.pop(ref))]

    def close(self) -> None:
        for hand in [*self._busy.values(), *self._idle]:
            with contextlib.suppress(Exception):  # it may be gone, or its node
                self._ray.kill(hand.actor)
        self._cluster.close()

    def _take(self, ref: Any, hand: _Hand) -> Iterator[ShardOutcome]:
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            if hand.shard is not None:
                yield ShardOutcome(hand.shard, "died", f"the worker on {hand.host} is gone{_why(error)}")
                return
            self._failures += 1
            if self._failures >= START_FAILURES:
                raise InputError(f"no worker could start on the cluster: {_last(error)}") from None
            return
        if isinstance(answer, ShardOutcome):
            hand.shard = None
            yield answer
        else:
            hand.host, wrong = answer
            if wrong:
                raise InputError(wrong)
            self._failures, self._started = 0, True
        self._idle.append(hand)

    def _grow(self) -> None:
        """As many actors as the machines have room for, those that joined since and those that came back too."""
        now, have = time.monotonic(), len(self._busy) + len(self._idle)
        if now - self._looked >= LOOK_SECONDS:
            self._looked, self._room = now, self._count_room()
        for _ in range(self._room - have):
            actor = self._remote()
            self._busy[actor.begin.remote()] = _Hand(actor)
        if not self._started and now - self._begun > START_SECONDS:
            raise InputError(
                f"no worker could start within {START_SECONDS:.0f} s: the cluster has no machine with room for it, or "
                "others hold it"
            )

    def _count_room(self) -> int:
        """Actors that the machines have room for, all that runs on them left aside."""
        assert self._job is not None
        return sum(_fits(node, self._job.threads, self.options.gpus) for node in self._nodes())

    def _nodes(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]


def choose_size(nodes: Sequence[Mapping[str, float]], options: RayOptions) -> tuple[int, int]:
    """-> (cores of each actor, actors on the fullest machine). nodes: the resources of each, as Ray names them.

    Raises InputError where none has room for one.
    """
    cpus, gpus = options.cpus, options.gpus
    if cpus is None:
        cpus = 1
        if gpus:  # a GPU's actor takes its part of the machine's cores: decoders must keep up with it
            cpus = min((int(n["CPU"] * gpus // n["GPU"]) for n in nodes if n.get("GPU", 0) >= gpus), default=1) or 1
    most = max((_fits(node, cpus, gpus) for node in nodes), default=0)
    if not most:
        wanted = f"{cpus} CPU{'s' if cpus > 1 else ''}" + (f" and {gpus:g} GPU" if gpus else "")
        raise InputError(f"no machine of the cluster has {wanted} for a worker")
    return cpus, most


def _fits(node: Mapping[str, float], cpus: int, gpus: float) -> int:
    by_cpu = node.get("CPU", 0) / cpus
    return int(min(by_cpu, node.get("GPU", 0) / gpus) if gpus else by_cpu)


@contextlib.contextmanager
def _cluster(options: RayOptions, workers: int | None) -> Iterator[tuple[Any, str | None]]:
    """Ray, connected -> (its module, the HOME that workers are to have, None: their own). Leaves it at the end."""
    with contextlib.ExitStack() as stack:
        home = os.environ.get("HOME")
        settings = dict(SETTINGS)
        if options.address is None:
            # Sockets lie in there, and their paths may be no longer than 107 bytes.
            own = tempfile.mkdtemp(prefix="photosearch-")
            stack.callback(shutil.rmtree, own, ignore_errors=True)
            Path(own, BOOTSTRAP).write_text("provider: {type: local}\n")
            settings |= {"HOME": own, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _own_token()}
            how: dict[str, Any] = {
                "num_cpus": workers or os.cpu_count(), "include_dashboard": False, "_node_ip_address": "127.0.0.1",
                "_temp_dir": os.path.join(own, "r"), "object_store_memory": OBJECTS_BYTES,
            }  # fmt: skip
        else:
            _check_token(options.address)
            _check_answers(options.address)
            how = {"address": options.address}
        stack.enter_context(_environment(settings))
        import ray

        with _signals_kept(), _on_loopback() if options.address is None else contextlib.nullcontext():
            try:
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **how)
            except Exception as error:  # ConnectionError, RuntimeError, ValueError, ...: Ray has no tree for it
                raise InputError(_describe(options.address, error)) from None
        stack.callback(ray.shutdown)
        # Else Ray tells stdout, where results belong, of each worker that dies, whatever log_to_driver says; we tell.
        ray._private.worker._worker_logs_enabled = False
        yield ray, home if options.address is None else None


@functools.cache
def _own_token() -> str:
    """The token of clusters that this process starts: Ray reads it once, when it is imported."""
    return secrets.token_hex(32)


def _check_token(address: str) -> None:
    mode = os.environ.setdefault("RAY_AUTH_MODE", "token")
    said = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if mode == "token" and not said and not Path("~/.ray/auth_token").expanduser().exists():
        raise InputError(
            f"{address}: no token for this cluster; set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to its file, as it was "
            "set for `ray start` on all machines"
        )


def _check_answers(address: str) -> None:
    """Raises InputError where nobody listens: Ray itself would go on asking for minutes."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise InputError(f"{address}: no address of a Ray cluster; give it as HOST:PORT, the port is 6379 as a rule")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"{address}: no Ray cluster answers there ({error}); is `ray start --head` running?") from None


def _describe(address: str | None, error: Exception) -> str:
    where = "Ray on this machine" if address is None else address
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if address is not None and isinstance(error, ConnectionError | TimeoutError):
        return f"{where}: no Ray cluster answers there; is the token the same?"
    return f"{where}: {text}"


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    """Ray takes 127.0.0.1 for this machine's address in its network, and would then listen on all that it has."""
    from ray._private import services

    before = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = before


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray puts its own handlers in the place of ours."""
    with contextlib.ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not in the main thread, where Ray leaves them alone
                stack.callback(signal.signal, number, signal.getsignal(number))
        yield


def _why(error: Exception) -> str:
    text = str(error)
    if "memory" in text.lower() and "OutOfMemory" in type(error).__name__:
        return ", killed for want of memory"
    return ", with its machine" if "node" in text.lower() and "died" in text.lower() and "NodeDied" in text else ""


def _last(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
