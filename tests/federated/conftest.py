"""What is collected here only where requirements-federated.txt is installed."""

from __future__ import annotations

import os

from optional_parts import missing

# Before a test imports Flower.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"

collect_ignore_glob = ["test_*.py"] if missing("tests/federated") else []
