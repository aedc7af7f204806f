"""Reports about mail we sent."""

from postroom.mail.report.parse import Report, ReportedRecipient, parse_report

__all__ = ["Report", "ReportedRecipient", "parse_report"]
