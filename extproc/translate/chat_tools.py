"""Tools of chat completions and the choice among them, before any provider's words for them; deprecated functions are
tools too.
"""

from dataclasses import dataclass
from typing import Any, Literal

from extproc.refusal import BadRequest
from extproc.translate.chat_notes import Notes
from extproc.translate.walk import checked_kind, list_of, named, not_one_of, object_of, text_of

Mode = Literal["none", "auto", "required"]
_MODES: dict[str, Mode] = {"none": "none", "auto": "auto", "required": "required"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether the model may or must call a tool; None where nothing is said of it."""

    path: str
    mode: Mode | None = None
    name: str | None = None  # of the one that must be called
    allowed: frozenset[str] | None = None  # None: all of them

    @property
    def forces(self) -> bool:
        """Whether it must."""
        return self.mode == "required"

    def allows(self, name: str) -> bool:
        """Whether a tool may be called."""
        return self.allowed is None or name in self.allowed


def choice_of(body: dict[str, Any]) -> Choice:
    """The choice. Raises BadRequest."""
    path = "function_call" if body.get("tool_choice") is None else "tool_choice"
    choice = body.get(path)
    if choice is None:
        return Choice(path)
    if isinstance(choice, str):
        return Choice(path, _MODES[checked_kind(choice, path, tuple(_MODES))])
    kind = object_of(choice, path).get("type", "function")
    if path == "function_call":
        return Choice(path, "required", named(choice.get("name"), f"{path}.name"))
    if kind == "allowed_tools":
        return _allowed(
            object_of(choice.get("allowed_tools"), f"{path}.allowed_tools"), f"{path}.allowed_tools", path
        )
    if kind not in ("function", "custom"):
        raise not_one_of(kind, f"{path}.type", ("function", "custom", "allowed_tools"))
    return Choice(path, "required", _name_in(choice, kind, path))


def choose_nothing(body: dict[str, Any], choice: Choice, notes: Notes) -> None:
    """Of a choice where no tools can be sent: it has no place either. Raises BadRequest where the client has none."""
    if not choice.forces:
        return
    if body.get("tools") or body.get("functions"):
        notes.no_place(choice.path)
        return
    path = choice.path
    raise BadRequest(f"'{path}' asks for a tool, but the request has none.", param=path, code="invalid_value")


@dataclass(frozen=True, slots=True)
class Function:
    """A function that can be called; `holder` is the tool that it is in, with the hints on that."""

    given: dict[str, Any]
    path: str
    holder: dict[str, Any]
    holder_path: str

    @property
    def name(self) -> str:
        """Its name. Raises BadRequest."""
        return named(self.given.get("name"), f"{self.path}.name")

    @property
    def description(self) -> str | None:
        """What it is for. Raises BadRequest."""
        said = self.given.get("description")
        return None if said is None else text_of(said, f"{self.path}.description")

    @property
    def parameters(self) -> dict[str, Any]:
        """The schema of what it is given; empty where none is said. Raises BadRequest."""
        return object_of(self.given.get("parameters") or {}, f"{self.path}.parameters")


def functions_of(body: dict[str, Any], notes: Notes, hints: tuple[str, ...]) -> list[Function]:
    """All of them; tools of other types have no place. `hints` are members that OpenAI's API does not have."""
    found = list[Function]()
    for number, tool in enumerate(list_of(body.get("tools") or [], "tools")):
        path = f"tools[{number}]"
        if object_of(tool, path).get("type") != "function":
            text_of(tool.get("type"), f"{path}.type")
            notes.no_place(f"{path}.type")  # its calls could not be told from a function's in the answer
            continue
        notes.only(tool, ("type", "function", *hints), path)
        found.append(_function(tool.get("function"), f"{path}.function", tool, path, notes, hints))
    for number, function in enumerate(list_of(body.get("functions") or [], "functions")):
        path = f"functions[{number}]"
        found.append(_function(function, path, {}, path, notes, hints))
    return found


def _function(
    given: Any, path: str, holder: dict[str, Any], holder_path: str, notes: Notes, hints: tuple[str, ...]
) -> Function:
    notes.only(object_of(given, path), ("name", "description", "parameters", "strict", *hints), path)
    return Function(given, path, holder, holder_path)


def _allowed(choice: dict[str, Any], path: str, said_in: str) -> Choice:
    mode = _MODES[checked_kind(choice.get("mode"), f"{path}.mode", ("auto", "required"))]
    names = set[str]()
    for number, tool in enumerate(list_of(choice.get("tools"), f"{path}.tools")):
        here = f"{path}.tools[{number}]"
        kind = checked_kind(object_of(tool, here).get("type"), f"{here}.type", ("function", "custom"))
        names.add(_name_in(tool, kind, here))
    return Choice(said_in, mode, allowed=frozenset(names))


def _name_in(holder: dict[str, Any], kind: str, path: str) -> str:
    return named(object_of(holder.get(kind), f"{path}.{kind}").get("name"), f"{path}.{kind}.name")
