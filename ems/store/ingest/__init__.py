"""Sources of measurements: each converts one external format into a Dataset."""
