"""Pipelines on machines of a cloud: configuration, jobs, and their runs in its MLflow."""

from ems.errors import EmsError


class CloudError(EmsError):
    """Azure refused, cannot be reached, or lacks what it needs."""
