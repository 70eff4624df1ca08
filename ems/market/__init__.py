"""Auctions: orders in whole numbers, and the price at which they are cleared."""
