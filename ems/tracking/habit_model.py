"""A learned habit as an MLflow model: the agent's JSON with a loader, a signature, an example.

Input: a frame with the column ``day`` (YYYY-MM-DD). Output, one row per day: ``p_00`` … ``p_23``,
the probability of a start in each local hour, ``use_probability`` and ``mean_starts``, the figures
of ``ProbabilityModelAgent.predict``. Nothing is pickled: the model is the text of ``to_dict``, read
by the ``ems`` that is importable where it is loaded.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import LoggedModelOutput
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, Schema

from ems.errors import InvalidSpec
from ems.learning.pmf import N_HOURS
from ems.learning.probability_model import ProbabilityModelAgent

FILE = "habit.json"
HOUR_COLUMNS = tuple(f"p_{hour:02d}" for hour in range(N_HOURS))
OUTPUTS = (*HOUR_COLUMNS, "use_probability", "mean_starts")
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("string", "day")]),
    outputs=Schema([ColSpec("double", name) for name in OUTPUTS]),
)
NEEDS = ("mlflow", "numpy", "pandas", "holidays")
"""Requirements besides ``ems`` itself, which is on no package index."""


class HabitModel:
    """The model that MLflow calls: a frame of days in, a frame of probabilities out."""

    def __init__(self, agent: ProbabilityModelAgent) -> None:
        self.agent = agent

    def predict(self, days: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """One row of ``OUTPUTS`` for each ``day``. Raises ``InvalidSpec`` for an invalid day."""
        habits = [self.agent.predict(_day(text)) for text in days["day"]]
        rows = [(*habit.hours, habit.use_probability, habit.mean_starts) for habit in habits]
        return pd.DataFrame(rows, columns=list(OUTPUTS), index=days.index, dtype="float64")


def _load_pyfunc(path: str) -> HabitModel:
    """Load the model; called by MLflow under this name."""
    saved = json.loads(Path(path).read_text(encoding="utf-8"))
    return HabitModel(ProbabilityModelAgent.from_dict(saved))


def log_habit_model(
    client: MlflowClient, experiment_id: str, run_id: str, name: str, agent: ProbabilityModelAgent
) -> str:
    """Keep an agent as the model ``name`` of a run. Returns its address, ``models:/ID``."""
    model = client.create_logged_model(
        experiment_id, name=name, source_run_id=run_id, model_type="habit"
    )
    with TemporaryDirectory() as folder:
        state, made = Path(folder) / FILE, Path(folder) / "model"
        state.write_text(json.dumps(agent.to_dict()), encoding="utf-8")
        # A fixed week, so that equal runs store equal examples.
        week = [date(2016, 1, 4) + timedelta(days=i) for i in range(7)]
        mlflow.pyfunc.save_model(
            str(made),
            loader_module=__name__,
            data_path=str(state),
            mlflow_model=Model(run_id=run_id, model_id=model.model_id),
            signature=SIGNATURE,
            input_example=pd.DataFrame({"day": [day.isoformat() for day in week]}),
            pip_requirements=list(NEEDS),
            metadata={"device": agent.device, "needs": "the package ems, importable"},
        )
        client.log_model_artifacts(model.model_id, str(made))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model_id=model.model_id, step=0)])
    return f"models:/{model.model_id}"


def _day(text: object) -> date:
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError as error:
        raise InvalidSpec(f"habit model: day '{text}' must be YYYY-MM-DD") from error
