"""Bidders that learn, and what is provably best for them: the only room with torch and its kin."""
