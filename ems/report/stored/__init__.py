"""Figures of runs from what was stored of them alone: the results database and MLflow.

``runs`` finds what was kept, ``planning`` and ``learning`` make the figures of the pipelines that
plan and that learn, ``catalogue`` names them all. Nothing is planned or learned again.
"""

from ems.report.stored.catalogue import KINDS, Wanted, figures
from ems.report.stored.drawing import Drawing, Missing
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
