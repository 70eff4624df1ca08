"""A self-contained page for each run, with the reasons of a plan in words."""

from ems.report.page.contents import comparison_report, integrated_report, probability_report
from ems.report.page.explain import ExplainedDay, ExplainedHour, explain_day
from ems.report.page.page import Report, Section, Table, render, write_report

__all__ = [
    "ExplainedDay",
    "ExplainedHour",
    "Report",
    "Section",
    "Table",
    "comparison_report",
    "explain_day",
    "integrated_report",
    "probability_report",
    "render",
    "write_report",
]
