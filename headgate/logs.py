"""Headgate's own log: one JSON object per line on stderr, readable text when stderr is a terminal.

Every line has `time` (RFC 3339, UTC), `level` and `event`. What looks like a credential is masked on the
way out, by the name of its key or by its shape inside a text; log calls should not carry one in the first
place.
"""

import contextlib
import io
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

MASK = "***"

_CREDENTIAL_KEY = re.compile(
    r"(^|[._-])(key|api[_-]?key|private[_-]?key|secret|password|passwd|authorization|cookie|credentials?)$"
    r"|(^|[._-])((access|refresh|auth|bearer|id)[_-])?token$",  # never "tokens": those are counts
    re.IGNORECASE,
)
_CREDENTIAL_TEXTS = (
    (re.compile(r"(?<![A-Za-z0-9])(hg|sk)-[A-Za-z0-9_-]{8,}"), r"\1-" + MASK),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), r"\1 " + MASK),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1" + MASK + "@"),
)


def redacted(value: Any) -> Any:
    """A copy of `value` with every credential masked, however deep it lies."""
    if isinstance(value, str):
        for pattern, replacement in _CREDENTIAL_TEXTS:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return {key: _redacted_item(key, item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return redacted(str(value))


def _redacted_item(key: Any, item: Any) -> Any:
    if item is not None and isinstance(key, str) and _CREDENTIAL_KEY.search(key):
        return MASK
    return redacted(item)


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The structlog processor: runs last before rendering, so that tracebacks are masked too."""
    return {key: _redacted_item(key, item) for key, item in event.items()}


class _Stderr(io.TextIOBase):
    """stderr, when its reader may have gone away: a lost log line must not end a supervisor."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()


def configure(level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's records to stderr in one form."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
    ]
    terminal = sys.stderr.isatty()
    render: Processor = (
        structlog.dev.ConsoleRenderer(timestamp_key="time") if terminal else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, redact, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", _Stderr())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_Stderr())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, render],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
