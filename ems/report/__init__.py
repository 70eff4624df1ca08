"""What a run shows: figures, and the page that explains it."""
