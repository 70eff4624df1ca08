"""The plans of a run, settled under every rule and key: what changes is who gets what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ems.community.account import CommunityAccount
from ems.community.fairness import gini
from ems.pipelines.community import KEY_NAMES, RULE_NAMES, CommunityPiece, CommunitySpec, settled
from ems.pipelines.community_totals import LEAST_LOSS_EUR, MICRO_EUR, costs_eur
from ems.pipelines.community_transfers import transfers_micro_eur
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class Settled:
    """The homes under a rule and a key: what they pay, and less than alone [€], ``(n_homes,)``."""

    rule: str
    key: str
    cost_eur: Floats
    gain_eur: Floats

    @property
    def gini(self) -> float | None:
        """Of the gains, 0 if all are equal; None if any home is worse off than alone."""
        if self.gain_eur.min() < -LEAST_LOSS_EUR:
            return None
        return gini(np.maximum(self.gain_eur, 0.0))


def every_rule(pieces: Sequence[CommunityPiece], spec: CommunitySpec) -> list[Settled]:
    """The plans of the way that is settled under each rule with each key.

    ``static`` as in ``spec``; without its split and guarantee; a battery that homes own hands them
    its gain.
    """
    alone_eur = costs_eur([piece.accounts[spec.alone_mode] for piece in pieces])
    found = []
    for rule in RULE_NAMES:
        for key in KEY_NAMES:
            under = replace(spec, rule=rule, key=key)
            accounts = [settled_again(piece, under) for piece in pieces]
            handed_eur = MICRO_EUR * transfers_micro_eur(
                accounts, alone_eur, split="none", guaranteed=False, owned=spec.owned
            )
            cost_eur = costs_eur(accounts) - handed_eur
            found.append(
                Settled(rule=rule, key=key, cost_eur=cost_eur, gain_eur=alone_eur - cost_eur)
            )
    return found


def settled_again(piece: CommunityPiece, spec: CommunitySpec) -> CommunityAccount:
    """The account of the way that is settled, under the rule and the key of ``spec``."""
    account = piece.accounts[spec.settled_mode]
    return settled(account.plan, spec, piece.price_eur_per_kwh, account.worth, account.put_back_eur)
