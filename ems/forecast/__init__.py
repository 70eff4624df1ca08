"""Forecasts with uncertainty: series in, quantiles out. Knows no optimisation."""
