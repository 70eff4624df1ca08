"""Pipelines: from a building's history to a stream of frozen records; no files, no tracking."""
