"""One self-contained page for each run, and the reasons of a plan in words."""
