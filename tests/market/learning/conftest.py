"""What is collected here only where requirements-learning.txt is installed."""

from __future__ import annotations

from optional_parts import missing

collect_ignore_glob = ["test_*.py"] if missing("tests/market/learning") else []
