"""Load forecasters that learn together: weights travel, readings stay. Knows no optimisation."""
