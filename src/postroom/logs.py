"""How the service logs: structlog, readable on a terminal and JSON elsewhere; ids, sizes and codes only.

An exception is logged by its type and the places it passed, never by its text: texts of foreign exceptions
hold whatever they choked on, a mail's subject or a row's values among it.
"""

import logging
import sys
import traceback
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def configure(level: str, style: str, stream: TextIO = sys.stderr) -> None:
    """Set up logging for the process. `style`: auto, json or readable."""
    readable = style == "readable" or (style == "auto" and stream.isatty())
    renderer: Processor = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if readable
        else structlog.processors.JSONRenderer(sort_keys=True)
    )
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _places_only,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_standard_logging(number)


def _places_only(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    del logger, method
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else (sys.exc_info()[1] if info else None)
    if error is not None:
        event["error"] = type(error).__name__
        event["places"] = [
            f"{frame.filename.rpartition('/postroom/')[2]}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(error.__traceback__)[-8:]
        ]
    return event


class _Bridge(logging.Handler):
    """Records of other libraries in our form: who spoke and how loud, not what it said."""

    def emit(self, record: logging.LogRecord) -> None:
        logger = structlog.get_logger()
        facts: dict[str, Any] = {"logger": record.name, "place": f"{record.filename}:{record.lineno}"}
        if record.exc_info and record.exc_info[0] is not None:
            facts["error"] = record.exc_info[0].__name__
        logger.log(record.levelno, "library", **facts)


def _route_standard_logging(number: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = [_Bridge()]
    root.setLevel(max(number, logging.WARNING))
    for name in ("uvicorn", "uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).handlers[:] = []
        logging.getLogger(name).propagate = True
