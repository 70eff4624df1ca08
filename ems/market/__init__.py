"""Orders and the clearing of a market, on integer arrays. Knows no building and no plan."""
