"""Pipelines: from a building's history to a stream of frozen records. No files, no tracking."""
