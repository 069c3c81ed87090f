"""Take secrets out of log lines: one filter, on this library's loggers and on any handler that a user puts it on."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

from durable.secrets.redaction import active

if TYPE_CHECKING:
    from durable.secrets.redaction import Redactor


class RedactingFilter(logging.Filter):
    """Filter that takes every secret resolved in this process out of a log record: message, arguments, traceback.

    It is on the ``durable`` loggers. For records of your own loggers add it to a handler:
    ``handler.addFilter(RedactingFilter())``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record where it tells a secret. It always passes."""
        for redactor in active():
            _redact_message(redactor, record)
            _redact_traces(redactor, record)
            for name, value in list(vars(record).items()):
                if type(value) is str and name not in {"msg", "exc_text", "stack_info"}:
                    setattr(record, name, redactor.text(value))
        return True


def _redact_message(redactor: Redactor, record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit: logging itself reports it
        message = f"{record.msg} {record.args}"
    clean = redactor.text(message)
    if clean != message:
        record.msg = clean
        record.args = ()


def _redact_traces(redactor: Redactor, record: logging.LogRecord) -> None:
    if record.exc_info and record.exc_info[0] is not None:
        trace = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        clean = redactor.text(trace)
        if clean != trace:
            record.exc_text = clean
            record.exc_info = None
    if record.exc_text:
        record.exc_text = redactor.text(record.exc_text)
    if record.stack_info:
        record.stack_info = redactor.text(record.stack_info)


FILTER = RedactingFilter()


def redacting(name: str) -> logging.Logger:
    """Return the logger of this name with the filter on it: a logger's filter does not count for those below it."""
    logger = logging.getLogger(name)
    logger.addFilter(FILTER)
    return logger
