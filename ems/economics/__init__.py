"""Tariffs, settlement at the meter, and intervals of savings."""
