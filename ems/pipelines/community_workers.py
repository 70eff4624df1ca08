"""The homes of a community on many processes or machines, answering as one process does.

A job is some chunks of homes and what they are asked, a pure function, so that it does not matter
who does it and who dies meanwhile. A worker keeps the programs that it has built until other homes
are asked.
"""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import chain, count, groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ems.community.decomposed import Ask, Chunk, Programs, asked_here
from ems.errors import InvalidSpec
from ems.pipelines.parallel import Run, on_cluster, on_processes

Result = TypeVar("Result")

SHARD = 5
"""Chunks of one job: so many that sending it costs little, so few that all workers have some."""


@contextmanager
def asked_of(
    workers: int = 1, scheduler: str | None = None
) -> Iterator[Callable[[Sequence[Chunk]], Ask]]:
    """Who answers in ``optimize_decomposed``: this process, ``workers`` processes, or a cluster.

    One context serves any number of plans, one after the other; local workers end with it. With
    ``scheduler`` jobs run on the Dask cluster at that address. Raises ``InvalidSpec`` for no
    workers, ``WorkerLost`` or ``ClusterError`` where workers end for good.

    >>> from ems.community.decomposed import optimize_decomposed
    >>> with asked_of(workers=2) as asked:  # doctest: +SKIP
    ...     plan = optimize_decomposed(community, horizon, asked)
    """
    if workers < 1:
        raise InvalidSpec(f"workers is {workers}, allowed is >= 1")
    if scheduler is not None:
        with on_cluster(scheduler, workers) as away:
            yield lambda chunks: _ask(away.run, [away.share(own) for own in _shards(chunks)])
    elif workers == 1:
        yield asked_here
    else:
        with tempfile.TemporaryDirectory(prefix="ems-") as folder, on_processes(workers) as run:
            numbers, path = count(), Path(folder) / "shards"

            def asked(chunks: Sequence[Chunk]) -> Ask:
                shards, version = _shards(chunks), next(numbers)
                path.write_bytes(pickle.dumps(shards))
                return _ask(run, [_Kept(str(path), version, i) for i in range(len(shards))])

            yield asked


class _Shard:
    """Consecutive chunks, with their programs where they are asked."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks = tuple(chunks)

    def __reduce__(self) -> tuple[type[_Shard], tuple[tuple[Chunk, ...]]]:
        """Without the programs: each process builds its own."""
        return _Shard, (self.chunks,)

    @cached_property
    def programs(self) -> tuple[Programs, ...]:
        """The programs of each chunk."""
        return tuple(Programs(chunk) for chunk in self.chunks)


def _shards(chunks: Sequence[Chunk]) -> list[_Shard]:
    return [_Shard(chunks[first : first + SHARD]) for first in range(0, len(chunks), SHARD)]


class _Kept(NamedTuple):
    """A shard in a file that holds those of one community at a time."""

    path: str
    version: int
    number: int


@lru_cache(maxsize=1)
def _of_file(path: str, version: int) -> list[_Shard]:
    """The shards of the community whose turn it is; ``version`` tells it from those before."""
    shards: list[_Shard] = pickle.loads(Path(path).read_bytes())
    return shards


def _ask(run: Run, places: Sequence[Any]) -> Ask:
    """Jobs of chunks, sent by shard to where ``run`` runs them."""

    def ask(work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
        by_shard = groupby(jobs, key=lambda job: job[0] // SHARD)
        sent = [(places[shard], work, list(own)) for shard, own in by_shard]
        return chain.from_iterable(run(_at_shard, sent))

    return ask


def _at_shard(
    place: _Shard | _Kept, work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
) -> list[Result]:
    """The results of a shard's chunks, on the worker."""
    shard = _of_file(place.path, place.version)[place.number] if isinstance(place, _Kept) else place
    return [work(shard.programs[number % SHARD], *given) for number, *given in jobs]
