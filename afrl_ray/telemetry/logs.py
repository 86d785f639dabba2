"""Log lines for people, or for machines: one JSON object a line, with the labels of the process."""

import json
import logging
import os
import sys
import time
from typing import Any, TextIO

from afrl_ray.telemetry.labels import current

FORMAT_VARIABLE = "AFRL_LOG_FORMAT"
"""Environment variable through which the processes of an experiment learn the format."""

_ROOT = logging.getLogger("afrl_ray")
_FIELDS = "afrl_fields"


def logs_are_json() -> bool:
    return os.environ.get(FORMAT_VARIABLE) == "json"


def configure_logs(log_format: str | None = None, stream: TextIO | None = None) -> None:
    """Write this process's log lines as `log_format` ("text" or "json").

    Without one, as the environment says, and only where it has not been said before. JSON goes to `stream`, standard
    error when not given.
    """
    ours = [handler for handler in _ROOT.handlers if isinstance(handler.formatter, JsonFormatter)]
    if log_format is None and ours:
        return
    if log_format is not None:
        os.environ[FORMAT_VARIABLE] = log_format
    for handler in ours:
        _ROOT.removeHandler(handler)
    _ROOT.propagate = not logs_are_json()
    _ROOT.setLevel(logging.INFO if logs_are_json() else logging.NOTSET)
    if logs_are_json():
        _ROOT.addHandler(_json_handler(stream))


def speak_for(library: str, stream: TextIO | None = None) -> None:
    """Where logs are JSON, write what `library` logs as JSON too, in place of its own way."""
    logger = logging.getLogger(library)
    if logs_are_json() and not any(isinstance(handler.formatter, JsonFormatter) for handler in logger.handlers):
        logger.handlers = [_json_handler(stream)]


def _json_handler(stream: TextIO | None) -> logging.Handler:
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    return handler


def event(message: str, **fields: Any) -> None:
    """Something that happened, with its particulars as fields; where logs are text, it is left out."""
    if logs_are_json():
        _ROOT.info(message, extra={_FIELDS: fields})


class JsonFormatter(logging.Formatter):
    """{"time": UTC, "level", "logger", "message", the labels that apply, further fields}"""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{label: value for label, value in current().items() if value},
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)
