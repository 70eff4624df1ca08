"""Agents: one kind of device a file."""
