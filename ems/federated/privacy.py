"""What weights betray: an attack that takes a low loss as a sign of having been learned from."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

from ems.federated.inputs import Examples
from ems.federated.load import Federation
from ems.federated.network import losses_of
from ems.types import Floats


def membership_auc(federation: Federation, members: Examples, others: Examples) -> float:
    """How well the loss tells ``members`` of the training from ``others`` (0.5: not at all).

    Loss-threshold attack, Yeom et al. 2018, arXiv:1709.01604. ``others`` should be of the same
    home and season, else the AUC also measures how different they are.
    """
    losses = [losses_of(federation.train, federation.weights, one) for one in (members, others)]
    return auc(*losses)


def auc(members: Floats, others: Floats) -> float:
    """P(loss of a member < loss of another) + ½ P(equal)."""
    ranks = rankdata(np.concatenate([others, members]))[: len(others)]
    wins = ranks.sum() - len(others) * (len(others) + 1) / 2.0
    return float(wins / (len(members) * len(others)))
