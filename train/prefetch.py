"""Load the next batches in background threads while the current one is in use."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")


def load_batches(
    items: Sequence[Item],
    load: Callable[[Item], Loaded],
    batch_size: int,
    *,
    ahead: int = 2,
    threads: int | None = None,
) -> Iterator[list[Loaded]]:
    """load(item) for every item, in order, in lists of `batch_size`. ahead: batches loaded before they are needed."""
    with ThreadPoolExecutor(threads) as pool:
        window = (ahead + 1) * batch_size
        pending = [pool.submit(load, item) for item in items[:window]]
        for start in range(0, len(items), batch_size):
            ready, pending = pending[:batch_size], pending[batch_size:]
            pending += [pool.submit(load, item) for item in items[start + window : start + window + batch_size]]
            yield [future.result() for future in ready]
