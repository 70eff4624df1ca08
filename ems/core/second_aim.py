"""The second aim: of all plans that cost the same, the one that does least, and then earliest.

Prices repeat, so many plans have the cost of the optimum, and which of them a solver returns would
depend on its seed and on the order of the agents. The cheapest cost is proven first. Then, at that
cost, Σ_k Σ_t w_k(t) · effort_k(t) · Δt is minimised (``ems.core.ties``): what agent k moves through
its store, uses or curtails. The weights grow a little with time and from agent to agent in the
order of their names, so that hardly a tie is left.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ems.core.affine import Affine
from ems.core.horizon import Horizon
from ems.types import Floats

LATER = 1e-2
"""How much more a kWh counts at the end of the horizon than at its beginning [1]."""
BY_NAME = 1e-3
"""How much more a kWh counts from one agent to the next [1]."""


def second_aim(effort_kw: Mapping[str, Affine | Floats | float], horizon: Horizon) -> Affine:
    """What is minimised among plans of equal cost [kWh], an ``Affine`` of size 1.

    ``effort_kw``: of each agent, shape ``(n_steps,)``; a number if it has nothing to decide.
    """
    late = np.arange(horizon.n_steps) / horizon.n_steps
    # Not linear alone, or one kWh earlier and another as much later would be a tie; nor alike for
    # all agents, or two could change places.
    later = LATER * (0.9 * late + 0.1 * late**2)
    decided = [effort for _, effort in sorted(effort_kw.items()) if isinstance(effort, Affine)]
    parts = [
        (horizon.energy_kwh(effort) * (1.0 + BY_NAME * rank + later * (1.0 + 0.1 * rank))).sum()
        for rank, effort in enumerate(decided)
    ]
    return Affine.total(parts, 1)
