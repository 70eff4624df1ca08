"""Every pipeline run in MLflow, so that it can be found, compared and run again.

::

    pipeline run            parameters, tags, dataset, parameters.json, figures
    ├── DE_KN_x centralized     day/cost_eur (step = day number), …; total/cost_eur, …
    └── DE_KN_x rule_based      the same, one run for each building and mode

The store is an SQLite file or an MLflow server. It is opened, and refused if unusable, before the
pipeline starts to work. MLflow itself runs in its own process (``ems.tracking.process``); nothing
here loads it. See ``docs/tracking.md``. ``ems.tracking.read`` finds and compares runs,
``ems.tracking.habit_model`` keeps learned habits as MLflow models; these two do load it.
"""

from __future__ import annotations

import os

# MLflow reads these when imported or called; values set by the user are kept.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")

from ems.tracking.address import check_store, sqlite_path, sqlite_uri, store_uri
from ems.tracking.metrics import DAY_METRICS, Status, day_metrics, total_metrics
from ems.tracking.parameters import LONGEST_PARAMETER, flat
from ems.tracking.provenance import PACKAGES, RERUN_OF, command_line, software
from ems.tracking.run import PipelineRun, pipeline_run, prepare

__all__ = [
    "DAY_METRICS",
    "LONGEST_PARAMETER",
    "PACKAGES",
    "RERUN_OF",
    "PipelineRun",
    "Status",
    "check_store",
    "command_line",
    "day_metrics",
    "flat",
    "pipeline_run",
    "prepare",
    "software",
    "sqlite_path",
    "sqlite_uri",
    "store_uri",
    "total_metrics",
]
