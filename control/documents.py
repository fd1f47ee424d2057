"""Documents of gateway.yaml in the bodies of requests: by its types and rules, in the words of `headgate check`."""

from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError

from control.fields import size_of_json
from control.problems import Finding, finding_of, invalid
from headgate.config.shape import Finding as Wrong
from headgate.config.shape import findings_of, value_at
from headgate.config.wording import KeyPath, shown_path

MOST_BYTES = 32 * 1024  # of a document as JSON

Rules = Callable[[dict[str, Any]], Iterable[Wrong]]


def check_document(root: dict[str, Any], place: KeyPath, kind: type[BaseModel], rules: Rules, at: str) -> None:
    """The document at `place` of `root`, a gateway.yaml with nothing else in it; `at` is what the request calls it.

    Raises Problem with all that is wrong with it.
    """
    written = value_at(root, place)
    if size_of_json(written) > MOST_BYTES:
        raise invalid(Finding(at=at, expected=f"at most {MOST_BYTES} bytes of JSON"))
    try:
        kind.model_validate(written)
    except ValidationError as error:
        found = findings_of(error, root, place)
    else:
        found = [one for one in rules(root) if one.path[: len(place)] == place]
    errors = [finding_of(_at(at, finding.path[len(place) :]), finding.text) for finding in found]
    errors += [_nothing(_at(at, path)) for path in _nothings(written, ())]
    if errors:
        raise invalid(*errors)


def an_object(value: Any) -> Any:
    """Parses no further: what is in it is for `check_document`."""
    if not isinstance(value, dict):
        raise ValueError("expected an object")  # noqa: TRY004 - pydantic would not collect a TypeError
    return value


def _nothings(value: Any, path: KeyPath) -> list[KeyPath]:
    """Members that are null: taking one for "not given" could lift a limit that somebody meant to set."""
    if value is None:
        return [path]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, child in children for found in _nothings(child, (*path, key))]


def _nothing(at: str) -> Finding:
    return Finding(at=at, expected="a value, or no such member", found="nothing")


def _at(start: str, path: KeyPath) -> str:
    shown = shown_path(path)
    return f"{start}{'' if not shown or shown.startswith('[') else '.'}{shown}"
