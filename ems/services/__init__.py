"""The same agents behind HTTP: nodes that plan, and a grid that asks them to keep limits."""
