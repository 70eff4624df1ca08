"""Figures of runs from stored data only: the results database and MLflow.

``runs`` finds stored runs, ``planning`` and ``learning`` read them back into pipeline records and
pass them to ``ems.report.figures``, ``gallery`` lists all kinds of figures, ``writing`` puts them
into files. Nothing is planned or learned again.
"""

from ems.report.stored.drawing import Drawing, Missing, Wanted
from ems.report.stored.gallery import KINDS, OF_RUNS, figures
from ems.report.stored.runs import KeptRun, choose_runs, kept_runs
from ems.report.stored.writing import CAPTIONS, write_drawing

__all__ = [
    "CAPTIONS",
    "KINDS",
    "OF_RUNS",
    "Drawing",
    "KeptRun",
    "Missing",
    "Wanted",
    "choose_runs",
    "figures",
    "kept_runs",
    "write_drawing",
]
