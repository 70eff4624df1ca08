"""Forecasts with their uncertainty: series in, series out, no program."""
