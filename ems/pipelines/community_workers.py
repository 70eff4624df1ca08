"""The homes of a community on many processes or machines, answering as one process does.

A job is some chunks of homes and what they are asked, a pure function, so that it does not matter
who does it and who dies meanwhile. A worker keeps the programs that it has built until other homes
are asked.
"""

from __future__ import annotations

import math
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import chain, count, groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ems.community.decomposed import Ask, Chunk, Programs, asked_here
from ems.errors import InvalidSpec, WorkerLost
from ems.pipelines.parallel import Run, on_cluster, on_processes

Result = TypeVar("Result")

JOBS_EACH = 2
"""Jobs a worker has each time homes are asked: one to do while the next is sent. Sending one to a
cluster takes as long as asking a hundred homes."""
MOST_LOST = 3
"""How often local workers may be lost while homes are asked once; a cluster allows as many."""


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

            def asked(chunks: Sequence[Chunk]) -> Ask:
                shards = _shards(chunks, away.n_threads())
                return _ask(away.run, shards, [away.share(own) for own in shards])

            yield asked
    elif workers == 1:
        yield asked_here
    else:
        with tempfile.TemporaryDirectory(prefix="ems-") as folder, on_processes(workers) as run:
            numbers, path = count(), Path(folder) / "shards"

            def asked(chunks: Sequence[Chunk]) -> Ask:
                shards, version = _shards(chunks, workers), next(numbers)
                path.write_bytes(pickle.dumps(shards))
                places = [_Kept(str(path), version, i) for i in range(len(shards))]
                return _ask(_again(run), shards, places)

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


def _shards(chunks: Sequence[Chunk], workers: int) -> list[_Shard]:
    """Shards of about equal size for so many workers."""
    size = max(1, math.ceil(len(chunks) / (JOBS_EACH * max(1, workers))))
    return [_Shard(chunks[first : first + size]) for first in range(0, len(chunks), size)]


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


def _again(run: Run) -> Run:
    """``run``, which begins again with the jobs that a worker took along when it was ended."""

    def patient(work: Callable[..., Result], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
        left = list(jobs)
        for lost in range(MOST_LOST + 1):
            try:
                for result in run(work, left):
                    left = left[1:]
                    yield result
                return
            except WorkerLost:
                if lost == MOST_LOST:
                    raise

    return patient


def _ask(run: Run, shards: Sequence[_Shard], places: Sequence[Any]) -> Ask:
    """Jobs of chunks, sent by shard to where ``run`` runs them; ``places``: of the shards."""
    size = len(shards[0].chunks)

    def ask(work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Result]:
        by_shard = groupby(jobs, key=lambda job: job[0] // size)
        sent = [
            (places[shard], work, [(number % size, *given) for number, *given in own])
            for shard, own in by_shard
        ]
        return chain.from_iterable(run(_at_shard, sent))

    return ask


def _at_shard(
    place: _Shard | _Kept, work: Callable[..., Result], jobs: Sequence[tuple[Any, ...]]
) -> list[Result]:
    """The results of a shard's chunks, on the worker."""
    shard = _of_file(place.path, place.version)[place.number] if isinstance(place, _Kept) else place
    return [work(shard.programs[number], *given) for number, *given in jobs]
