"""A learned habit as an MLflow model, loaded where nothing of this process is."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from ems.errors import InvalidSpec
from ems.learning.priors import uniform
from ems.learning.probability_model import ProbabilityModelAgent
from ems.learning.rate import LearningRate
from ems.learning.usage import DayUse
from ems.site.place import KONSTANZ
from ems.tracking import pipeline_run, sqlite_uri
from ems.tracking.habit_model import FILE, OUTPUTS, HabitModel

ROOT = Path(__file__).resolve().parents[2]
DAYS = ("2016-03-04", "2016-03-05", "2016-03-06")

LOAD = """
import json, sys
import mlflow
import pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
found = {}
for uri in sys.argv[2:]:
    model = mlflow.pyfunc.load_model(uri)
    found[uri] = model.predict(pd.DataFrame({"day": %r})).to_numpy().tolist()
    found["example"] = model.predict(model.input_example).shape
print(json.dumps(found))
"""


def trained() -> ProbabilityModelAgent:
    agent = ProbabilityModelAgent(
        device="dish washer", place=KONSTANZ, prior=uniform(), rate=LearningRate(lr_tau=5.0)
    )
    starts = np.zeros(24)
    starts[19] = 1.0
    use = DayUse(day=date(2016, 3, 1), day_type=0, starts=starts, n_starts=1.0, shifted=False)
    agent.train([use] * 10)
    return agent


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_it_loads_in_a_fresh_process_and_predicts_the_same(
    tmp_path: Path, empty_store: Path
) -> None:
    uri, agent = sqlite_uri(Path(shutil.copy(empty_store, tmp_path / "m.db"))), trained()
    with pipeline_run(uri, experiment="e", name="p", parameters={}) as run:
        run.summary("home", "best", {"log_loss_bits": 4.0})
        model = run.habit_model("home", "best", agent)
    client = MlflowClient(uri)
    logged = client.get_logged_model(model.removeprefix("models:/"))
    assert (logged.name, logged.status, logged.source_run_id) == (
        "home_dish_washer",
        "READY",
        client.search_runs([run.experiment_id], "attributes.run_name = 'home best'")[0].info.run_id,
    )
    addresses = (model, f"runs:/{logged.source_run_id}/{logged.name}")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOAD % (DAYS,), uri, *addresses],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)},
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for address in addresses:
        for row, text in zip(found[address], DAYS, strict=True):
            habit = agent.predict(date.fromisoformat(text))
            assert row == [*habit.hours, habit.use_probability, habit.mean_starts]
    assert found["example"] == [7, len(OUTPUTS)]
    (saved,) = (tmp_path / "artifacts").rglob(FILE)
    assert sum(f.stat().st_size for f in saved.parents[1].rglob("*") if f.is_file()) < 50_000


def test_a_day_that_is_none() -> None:
    with pytest.raises(InvalidSpec, match="day 'tomorrow' must be YYYY-MM-DD"):
        HabitModel(trained()).predict(pd.DataFrame({"day": ["2016-03-04", "tomorrow"]}))
