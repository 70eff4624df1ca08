"""Sources of measurements: each turns one outside format into a Dataset."""
