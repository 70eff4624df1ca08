"""Pipelines in the cloud: configuration, jobs, and their runs in its MLflow."""

from ems.errors import EmsError


class CloudError(EmsError):
    """Azure refused, cannot be reached, or lacks a requirement."""
