"""Load forecasters that learn together: weights travel, readings stay. Knows no optimisation."""

import os

# Flower reads this once, when it is first imported; nothing is sent to its makers.
os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
