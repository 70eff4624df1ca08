"""Array types, named once for the whole package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Instants = NDArray[np.datetime64]
"""UTC instants, ``datetime64[s]``."""
Days = NDArray[np.datetime64]
"""Local days, ``datetime64[D]``."""
