"""A user's own meter: files of any layout, described by a small TOML file."""

from ems.store.ingest.meter.read import read_meter

__all__ = ["read_meter"]
