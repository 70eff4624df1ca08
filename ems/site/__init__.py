"""From a building's meters to the agents of a day."""
