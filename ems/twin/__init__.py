"""The synthetic twin: a seeded generator of the seven buildings, with the truth behind them."""

DEFAULT_SEED = 7
"""The seed of the twin that a fresh clone makes."""
