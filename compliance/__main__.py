"""``python -m compliance``: every rule and every pipeline, and a table of the results."""

from __future__ import annotations

import sys
from pathlib import Path

from compliance.report import check, table

results = list(check(Path(__file__).resolve().parent.parent))
print(table(results))
sys.exit(0 if all(result.passed for result in results) else 1)
