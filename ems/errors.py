"""What can go wrong, as a tree of exceptions.

::

    EmsError
    ├── InvalidSpec (also a ValueError)   a value someone gave is outside what is allowed
    ├── DataError                         measurements, prices or a database cannot be used
    ├── SolveError                        no proven optimum, or a plan that fails its audit
    │   └── Infeasible                    no plan exists; names the broken rules
    ├── TrackingError                     the experiment store cannot be used
    ├── WorkerLost                        a worker process of this machine was ended from outside
    ├── ClusterError (ems.pipelines.dask) a Dask cluster cannot be reached, differs or was lost
    └── CloudError (ems.deployment)       Azure cannot be reached or refuses

Every message is one line that says who, which field, the value, the allowed range and what to
do next. Scripts print it and exit with code 2; a traceback is for bugs.
"""


class EmsError(Exception):
    """Base of everything this package raises on purpose."""


class InvalidSpec(EmsError, ValueError):
    """A specification is outside what is allowed: who, which field, the value, the range."""


class DataError(EmsError):
    """Measurements, prices or a database that cannot be used as they are."""


class SolveError(EmsError):
    """The solver proved no optimum within the gap, or a plan failed its audit."""


class Infeasible(SolveError):
    """No plan satisfies all rules; ``shortfalls`` maps each broken rule to its shortfall text."""

    def __init__(self, message: str, shortfalls: dict[str, str]) -> None:
        super().__init__(message)
        self.shortfalls = shortfalls

    def __reduce__(self) -> tuple[type["Infeasible"], tuple[str, dict[str, str]]]:
        """Keep both arguments when a worker process sends the error home."""
        return type(self), (str(self), self.shortfalls)


class WorkerLost(EmsError):
    """A worker process of this machine was ended from outside, such as for want of memory."""


class TrackingError(EmsError):
    """The experiment store cannot be reached or written."""
