"""The synthetic twin: a seeded generator of the seven buildings, with the truth behind them."""
