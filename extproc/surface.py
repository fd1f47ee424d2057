"""What an endpoint is, and the types of its parameters; surfaces.py and passed.py have the endpoints. Pure."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from headgate.error_shapes import Api


@dataclass(frozen=True, slots=True)
class Upload:
    """A file in a form: how large it is, and its first bytes."""

    size_bytes: int
    head: bytes


_NAMES = {
    Upload: "a file",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


@dataclass(frozen=True, slots=True)
class Types:
    """What types a parameter may have: JSON's, or a file. Null means the same as absent, unless it is required."""

    allowed: tuple[type, ...]
    required: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether the parsed value has one of the types; a JSON integer is a number too, a boolean is not."""
        if value is None:
            return not self.required
        if isinstance(value, bool):
            return bool in self.allowed
        if isinstance(value, int) and float in self.allowed:
            return True
        return isinstance(value, self.allowed)

    def __str__(self) -> str:
        return " or ".join(_NAMES[kind] for kind in self.allowed)


def json_type(value: Any) -> str:
    """A parsed value's type, as a person would name it."""
    return "null" if value is None else _NAMES[type(value)]


@dataclass(frozen=True, eq=False)  # no slots: a cached property needs a __dict__
class Surface:
    """One endpoint. `path` is what follows /v1; `operation` is OpenTelemetry's name (gen_ai.operation.name).

    `api` is the client's: a target that speaks another one gets the request translated. `prompt` is the parameter
    that holds what is asked. Where a surface `asks_usage`, streams have none unless `stream_options` says so. Where
    it `is_free`, nothing is generated. What is `native_only` takes a target with the Responses API and no preset.
    What is `by_id` is about what was made before and its provider keeps, with its id in the path and no body but for
    an update; `query` are the parameters that may stand behind that.

    What `passes` is sent as it is, but for the model's name, to targets that speak the client's API, whatever their
    preset. `forms`: it takes multipart/form-data, and JSON only where `json` says so. `answer_types` may come beside
    JSON and events. `unit` is what is charged for beside tokens (headgate/units.py).
    """

    name: str
    path: str
    parameters: dict[str, Types]
    streams: bool
    operation: str = ""
    api: Api = "openai"
    prompt: str = "messages"
    asks_usage: bool = False
    is_free: bool = False
    native_only: bool = False
    by_id: bool = False
    method: str = "POST"
    query: frozenset[str] = frozenset()
    passes: bool = False
    forms: bool = False
    json: bool = True
    answer_types: tuple[str, ...] = ()
    unit: str = ""

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The parameters that a request cannot do without."""
        return tuple(name for name, types in self.parameters.items() if types.required)


FLAG, WHOLE, NUMBER, TEXT = Types((bool,)), Types((int,)), Types((float,)), Types((str,))
LIST, OBJECT, TEXTS = Types((list,)), Types((dict,)), Types((str, list))
MODEL = Types((str,), required=True)
