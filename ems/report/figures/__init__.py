"""Figures of what was planned and what it was worth; the only importer of matplotlib.

Every function returns a ``matplotlib.figure.Figure`` that pyplot does not know; ``page.save``
writes it. ``parts`` holds what they are made of, ``paper`` where they are shown.
"""
