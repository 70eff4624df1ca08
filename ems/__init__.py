"""Plan when a building should charge, run and trade, and show what that was worth."""
