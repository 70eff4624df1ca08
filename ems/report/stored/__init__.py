"""Figures of runs from what was stored of them alone: the results database and MLflow.

``runs`` finds what was kept, ``planning`` and ``learning`` read it back into the records of the
pipelines and hand them to ``ems.report.figures``, ``gallery`` names all kinds of figures. Nothing
is planned or learned again.
"""

from ems.report.stored.drawing import Drawing, Missing, Wanted
from ems.report.stored.gallery import KINDS, figures
from ems.report.stored.runs import KeptRun, choose_runs, kept_runs

__all__ = [
    "KINDS",
    "Drawing",
    "KeptRun",
    "Missing",
    "Wanted",
    "choose_runs",
    "figures",
    "kept_runs",
]
