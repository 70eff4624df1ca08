"""Homes that share: planned on one bus, settled by a rule, with an account that closes."""
