"""What energy costs and what a day was worth: tariffs and the settlement at the meter."""
