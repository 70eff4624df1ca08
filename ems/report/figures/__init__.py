"""Figures of plans and results; the only importer of matplotlib.

Every function returns a ``matplotlib.figure.Figure`` unknown to pyplot; ``page.save`` writes it.
``parts`` has common elements, ``paper`` the output formats.
"""
