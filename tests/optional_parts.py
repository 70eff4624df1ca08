"""Parts of the suite that need a library most do without: said in one line, never skipped."""

from __future__ import annotations

from importlib.util import find_spec

PARTS = {
    "tests/market/learning": (
        "requirements-learning.txt",
        ("torch", "gymnasium", "langgraph", "pettingzoo", "stable_baselines3", "power_grid_model"),
    ),
    "tests/federated": ("requirements-federated.txt", ("torch", "flwr")),
}
"""Folder -> the file that brings what it needs, and the modules."""


def missing(folder: str) -> list[str]:
    """The modules that ``folder`` needs and that are not installed."""
    return [module for module in PARTS[folder][1] if find_spec(module) is None]


def left_out() -> list[str]:
    """A line for every folder that is left out."""
    return [
        f"left out: {folder} for want of {', '.join(wanted)}; pip install -r {file}"
        for folder, (file, _) in PARTS.items()
        if (wanted := missing(folder))
    ]
