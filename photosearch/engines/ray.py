"""Workers by Ray Core: one actor for a core or a GPU, on all machines of a cluster. https://docs.ray.io/

Each actor has one shard at a time; its results are in the store, and its answer is a few words. Ray restarts and
retries nothing: driver.py does, which can tell a lost machine from a photo that kills its worker.

As far as settings can ensure it, nothing is sent and nobody is let in: Ray's usage reports are off, and have no address
to go to; no cloud's metadata address is asked; connecting to a node needs its token. docs/scale.md says what a cluster
exposes all the same.
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
ENVIRONMENT = {  # of each process that imports ray, set before it does
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_USAGE_STATS_REPORT_URL": "http://127.0.0.1:9/",  # nobody listens there, should Ray report all the same
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}
BOOTSTRAP_FILE = "ray_bootstrap_config.yaml"  # in HOME; it names the provider, so Ray asks no cloud's metadata address
OBJECT_STORE_BYTES = 100_000_000  # shared memory; shards are lists of paths, and nothing else goes through Ray
COUNT_SECONDS = 10.0  # between two counts of the machines
CONNECT_SECONDS = 10.0  # for a cluster to accept a connection
START_SECONDS = 300.0  # for the first worker to start
MAX_START_FAILURES = 3  # consecutive


@dataclass(frozen=True, slots=True)
class RayOptions:
    """address: of a cluster, HOST:PORT; None starts Ray on this machine for this run. cpus, gpus: for each actor."""

    address: str | None = None
    cpus: int | None = None
    gpus: float = 0.0
    provider: str = "auto"


def open_engine(shards: str | None, library: Path, options: RayOptions, photos_per_shard: int | None = None) -> Driver:
    """An engine of the index. shards: a folder or bucket; None is a folder next to the library, emptied in the end.

    Raises InputError where Ray is not installed, or the folder can't be used.
    """
    if not all(map(importlib.util.find_spec, ("ray", "pyarrow"))):  # not imported: Ray would read its environment now
        raise InputError(NEEDS)
    store = open_store(shards or f"{os.path.abspath(library)}.shards")
    size = photos_per_shard or PHOTOS_PER_SHARD
    return Driver(store, lambda work: RayWorkers(work, store, options), size, keep=shards is not None)


class _Actor:
    """The actor, as Ray runs it on a node."""

    def __init__(self, config: WorkerConfig, home: str | None):
        if home is not None:
            os.environ["HOME"] = home
        self._config = config

    def begin(self) -> tuple[str, str]:
        """Load the models -> (the machine's name, what went wrong or '')."""
        import platform

        try:
            self._worker = Worker(self._config)
        except Exception as error:
            return platform.node(), str(error) or type(error).__name__
        return platform.node(), ""

    def score(self, shard: Shard) -> ShardOutcome:
        return self._worker.score(shard)


@dataclass(slots=True)
class _ActorState:
    """shard: the name of the one that the actor is scoring, None while it starts."""

    actor: Any
    host: str = ""
    shard: str | None = None


@dataclass(slots=True)
class RayWorkers:
    """See driver.WorkerPool."""

    work: Work
    store: Store
    options: RayOptions
    _ray: Any = None
    _cluster: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _busy: dict[Any, _ActorState] = field(default_factory=dict)
    _idle: list[_ActorState] = field(default_factory=list)
    _counted: float = -1e9
    _room: int = 0
    _started: bool = False
    _begun: float = 0.0
    _failures: int = 0
    _start_actor: Any = None
    _config: WorkerConfig | None = None

    def __post_init__(self) -> None:
        try:
            self._ray, home = self._cluster.enter_context(_cluster(self.options, self.work.options.workers))
            self._begun = time.monotonic()
            cpus, per_machine = choose_size(self._nodes(), self.options)
            probe = f"probe-{secrets.token_hex(8)}"
            self.store.put(probe, b"of a driver")
            self._cluster.callback(self.store.remove, probe)
            self._config = WorkerConfig(
                tuple(ModelRef.of(scorer) for scorer in self.work.scorers),
                tuple(os.path.abspath(scorer.model.path) for scorer in self.work.scorers),
                tuple(self.work.roots), self.store.place, probe, self.options.provider, cpus, per_machine,
                self.work.options.batch_size,
            )  # fmt: skip
            actor = self._ray.remote(num_cpus=cpus, num_gpus=self.options.gpus, max_restarts=0, max_task_retries=0)
            self._start_actor = lambda: actor(_Actor).remote(self._config, home)
        except BaseException:
            self._cluster.close()
            raise

    def count_idle(self) -> int:
        self._grow()
        return len(self._idle)

    def submit(self, shard: Shard) -> None:
        state = self._idle.pop()
        state.shard = shard.name
        self._busy[state.actor.score.remote(shard)] = state

    def wait(self, seconds: float) -> Sequence[ShardOutcome]:
        self._grow()
        if not self._busy:
            time.sleep(seconds)  # until a machine joins
            return []
        ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=seconds)
        return [outcome for ref in ready for outcome in self._take(ref, self._busy.pop(ref))]

    def close(self) -> None:
        for state in [*self._busy.values(), *self._idle]:
            with contextlib.suppress(Exception):  # it may be gone, or its node
                self._ray.kill(state.actor)
        self._cluster.close()

    def _take(self, ref: Any, state: _ActorState) -> Iterator[ShardOutcome]:
        """The outcome of an actor's shard, if it had one. Raises InputError where no actor can start."""
        try:
            answer = self._ray.get(ref)
        except self._ray.exceptions.RayError as error:
            if state.shard is not None:
                yield ShardOutcome(state.shard, "died", f"the worker on {state.host} died{_describe_death(error)}")
                return
            self._failures += 1
            if self._failures >= MAX_START_FAILURES:
                raise InputError(f"no worker could start on the cluster: {_last_line(error)}") from None
            return
        match answer:
            case ShardOutcome(name, wrong, str(reason)) if state.shard is not None:
                state.shard = None
                yield ShardOutcome(name, wrong, _to_line(reason))
            case (str(host), str(said)) if state.shard is None:
                state.host = _to_line(host)
                if said:
                    raise InputError(_to_line(said))
                self._failures, self._started = 0, True
            case _:
                raise InputError(
                    f"a worker on {state.host} gave an answer that makes no sense; are all of one version?"
                )
        self._idle.append(state)

    def _grow(self) -> None:
        """Start as many actors as the machines have room for, on machines that joined or came back too."""
        now, running = time.monotonic(), len(self._busy) + len(self._idle)
        if now - self._counted >= COUNT_SECONDS:
            self._counted, self._room = now, self._count_room()
        for _ in range(self._room - running):
            actor = self._start_actor()
            self._busy[actor.begin.remote()] = _ActorState(actor)
        if not self._started and now - self._begun > START_SECONDS:
            raise InputError(
                f"no worker could start within {START_SECONDS:.0f} s: no machine of the cluster has room for one, or "
                "others occupy it"
            )

    def _count_room(self) -> int:
        """Actors that the machines have room for, if nothing else runs on them."""
        assert self._config is not None
        return sum(_count_fitting(node, self._config.threads, self.options.gpus) for node in self._nodes())

    def _nodes(self) -> list[Mapping[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]


def choose_size(nodes: Sequence[Mapping[str, float]], options: RayOptions) -> tuple[int, int]:
    """-> (cores for each actor, most actors on one machine). nodes: the resources of each, as Ray names them.

    Raises InputError where no machine has room for an actor.
    """
    cpus, gpus = options.cpus, options.gpus
    if cpus is None:
        cpus = 1
        if gpus:  # the decoders must keep up with the GPU, so it brings its share of the machine's cores
            cpus = min((int(n["CPU"] * gpus // n["GPU"]) for n in nodes if n.get("GPU", 0) >= gpus), default=1) or 1
    per_machine = max((_count_fitting(node, cpus, gpus) for node in nodes), default=0)
    if not per_machine:
        wanted = f"{cpus} CPU{'s' if cpus > 1 else ''}" + (f" and {gpus:g} GPU" if gpus else "")
        raise InputError(f"no machine of the cluster has {wanted} for a worker")
    return cpus, per_machine


def _count_fitting(node: Mapping[str, float], cpus: int, gpus: float) -> int:
    by_cpu = node.get("CPU", 0) / cpus
    return int(min(by_cpu, node.get("GPU", 0) / gpus) if gpus else by_cpu)


@contextlib.contextmanager
def _cluster(options: RayOptions, workers: int | None) -> Iterator[tuple[Any, str | None]]:
    """Connect to Ray -> (its module, the HOME for workers, None for their own). Disconnects in the end."""
    with contextlib.ExitStack() as stack:
        home = os.environ.get("HOME")
        environment = dict(ENVIRONMENT)
        if options.address is None:
            # It contains sockets, whose paths must not exceed 107 bytes.
            own = tempfile.mkdtemp(prefix="photosearch-")
            stack.callback(shutil.rmtree, own, ignore_errors=True)
            Path(own, BOOTSTRAP_FILE).write_text("provider: {type: local}\n")
            environment |= {"HOME": own, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": _own_token()}
            arguments: dict[str, Any] = {
                "num_cpus": workers or os.cpu_count(), "include_dashboard": False, "_node_ip_address": "127.0.0.1",
                "_temp_dir": os.path.join(own, "r"), "object_store_memory": OBJECT_STORE_BYTES,
            }  # fmt: skip
        else:
            _check_token(options.address)
            _check_listening(options.address)
            arguments = {"address": options.address}
        stack.enter_context(_set_environment(environment))
        import ray

        with _keep_signal_handlers(), _listen_on_loopback() if options.address is None else contextlib.nullcontext():
            try:
                ray.init(log_to_driver=False, logging_level=logging.ERROR, **arguments)
            except Exception as error:  # ConnectionError, RuntimeError, ValueError, ...: Ray has no tree for it
                raise InputError(_describe_error(options.address, error)) from None
        stack.callback(ray.shutdown)
        # Or Ray prints a line to stdout, where results belong, for each worker that dies, whatever log_to_driver says.
        ray._private.worker._worker_logs_enabled = False
        yield ray, home if options.address is None else None


@functools.cache
def _own_token() -> str:
    """The token of all clusters that this process starts: Ray reads it only once, when it is imported."""
    return secrets.token_hex(32)


def _check_token(address: str) -> None:
    mode = os.environ.setdefault("RAY_AUTH_MODE", "token")
    has_token = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if mode == "token" and not has_token and not Path("~/.ray/auth_token").expanduser().exists():
        raise InputError(
            f"{address}: no token for this cluster; set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to its file, as "
            "for `ray start` on all machines"
        )


def _check_listening(address: str) -> None:
    """Raises InputError where nothing listens: Ray itself would retry for minutes."""
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise InputError(f"{address}: not the address of a Ray cluster; give HOST:PORT, the port is usually 6379")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"{address}: no Ray cluster answers there ({error}); is `ray start --head` running?") from None


def _describe_error(address: str | None, error: Exception) -> str:
    where = "Ray on this machine" if address is None else address
    text = " ".join(str(error).split())[:300] or type(error).__name__
    if address is not None and isinstance(error, ConnectionError | TimeoutError):
        return f"{where}: no Ray cluster answers there; is the token the same?"
    return f"{where}: {text}"


@contextlib.contextmanager
def _set_environment(settings: Mapping[str, str]) -> Iterator[None]:
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
def _listen_on_loopback() -> Iterator[None]:
    """Keep Ray from replacing 127.0.0.1 by this machine's network address and listening on all interfaces."""
    from ray._private import services

    before = services.resolve_ip_for_localhost
    services.resolve_ip_for_localhost = lambda host: host
    try:
        yield
    finally:
        services.resolve_ip_for_localhost = before


@contextlib.contextmanager
def _keep_signal_handlers() -> Iterator[None]:
    """Restore our signal handlers, which Ray replaces."""
    with contextlib.ExitStack() as stack:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError):  # not the main thread: there Ray leaves them alone
                stack.callback(signal.signal, number, signal.getsignal(number))
        yield


def _describe_death(error: Exception) -> str:
    text = str(error)
    if "memory" in text.lower() and "OutOfMemory" in type(error).__name__:
        return ", out of memory"
    return ", with its machine" if "node" in text.lower() and "died" in text.lower() and "NodeDied" in text else ""


def _to_line(text: str) -> str:
    """What another machine says, as one line without what moves a cursor."""
    return "".join(c if c.isprintable() else " " for c in text[:500])


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1][:200]
