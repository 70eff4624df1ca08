"""The playback of a community: one self-contained HTML page with a slider over its steps.

``data`` makes what the page shows, as plain values; ``page`` puts it into the template.
"""

from ems.report.playback.data import playback_data
from ems.report.playback.page import render_playback, write_playback

__all__ = ["playback_data", "render_playback", "write_playback"]
