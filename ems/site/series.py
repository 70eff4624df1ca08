"""The series on a building's bus and its prices: as metered, or as forecast.

A plan is made from a ``SiteSeries``. The true one is what was metered; a forecast one is the truth
before an instant and a forecast from then on (see ``ems.forecast.information``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ems.agents.on_site import SiteDevice, Stretch
from ems.types import Floats


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteSeries:
    """Every series on a building's whole grid, shape ``(n,)``.

    ``load_kwh``: all load on the bus, planned devices included; ``spot_eur_per_mwh``: day-ahead
    price; ``devices``: the planned devices on the bus. ``runs_foreseen``: whether an appliance run
    is known before its people start it.
    """

    load_kwh: Floats
    spot_eur_per_mwh: Floats
    devices: tuple[SiteDevice, ...]
    runs_foreseen: bool = True

    def devices_kwh(self, where: slice) -> Floats:
        """Energy of all devices in the steps ``where`` without planning [kWh]."""
        used_kwh = np.zeros(where.stop - where.start)
        for device in self._last_kind_first():
            used_kwh = used_kwh + device.used_kwh(where)
        return used_kwh

    def base_kwh(self, stretch: Stretch) -> Floats:
        """Load minus the energy of the agents of ``stretch`` [kWh], per step."""
        base_kwh = self.load_kwh[stretch.whole].copy()
        for device in self._last_kind_first():
            base_kwh -= device.planned_kwh(stretch)
        return base_kwh

    def _last_kind_first(self) -> Iterator[SiteDevice]:
        """Fixed order of every sum over devices; another order would change the last digit."""
        for kind in reversed(dict.fromkeys(type(device) for device in self.devices)):
            yield from (device for device in self.devices if type(device) is kind)
