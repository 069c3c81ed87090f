"""Log lines without secrets: one filter, on the loggers of this library and on any handler that a user puts it on."""

from __future__ import annotations

import logging
import traceback

from durable.secrets.redaction import active


class RedactingFilter(logging.Filter):
    """Takes every secret that was resolved in this process out of a log record: message, arguments and traceback.

    It is on the ``durable`` loggers. For records of your own loggers add it to a handler:
    ``handler.addFilter(RedactingFilter())``.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record where it tells a secret; it always passes."""
        for redactor in active():
            try:
                said = record.getMessage()
            except Exception:  # noqa: BLE001 - arguments that do not fit: logging itself reports it
                said = f"{record.msg} {record.args}"
            if (clean := redactor.text(said)) != said:
                record.msg, record.args = clean, ()
            if record.exc_info and record.exc_info[0] is not None:
                whole = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
                if (clean := redactor.text(whole)) != whole:
                    record.exc_text, record.exc_info = clean, None
            if record.exc_text:
                record.exc_text = redactor.text(record.exc_text)
            if record.stack_info:
                record.stack_info = redactor.text(record.stack_info)
            for name, value in list(vars(record).items()):
                if type(value) is str and name not in {"msg", "exc_text", "stack_info"}:
                    setattr(record, name, redactor.text(value))
        return True


FILTER = RedactingFilter()


def redacting(name: str) -> logging.Logger:
    """The logger of this name, with the filter on it: a filter of a logger does not count for those below."""
    logger = logging.getLogger(name)
    logger.addFilter(FILTER)
    return logger
