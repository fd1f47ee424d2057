"""One walk over a Messages request: what it asks for that OpenAI's API cannot do, and whether it is well-formed.

Runs when a request is planned, so it only looks; nothing is built here.
"""

import re
from collections.abc import Mapping
from typing import Any

from extproc.refusal import BadRequest
from extproc.surface import Types, json_type
from extproc.translate.anthropic_openai import shapes
from extproc.translate.anthropic_openai.messages import answered
from extproc.translate.anthropic_openai.shapes import Shape
from extproc.translate.chat import Beyond

_SHOWN_LIMIT = 64  # characters of a client's value, or of a name of its making, that are repeated
_odd = re.compile(r"[^A-Za-z0-9_.-]")  # in names of the client's making, which may end up in a header


class Check:
    """What was found in one request; with a `Beyond`, for a target that takes more than OpenAI's API has."""

    def __init__(self, beyond: Beyond | None = None) -> None:
        self._beyond = beyond
        self.unsupported: list[str] = []
        self.left_out: dict[str, None] = {}  # names without positions, each once

    def request(self, body: dict[str, Any]) -> None:
        """A body of /v1/messages. Raises BadRequest."""
        if body.get("max_tokens") is None:
            raise missing("max_tokens")
        self.prompt(body)
        if body["max_tokens"] < 0:
            raise invalid("max_tokens", "a number that is not negative", body["max_tokens"])
        if body["max_tokens"] == 0:  # reads the prompt into the cache and answers nothing
            self.unsupported.append("max_tokens")
        messages = body["messages"]
        self.unsupported += [f"messages[{index}].role" for index in range(answered(messages), len(messages))]

    def prompt(self, body: dict[str, Any]) -> None:
        """All but what concerns the length of the answer, as /v1/messages/count_tokens has it. Raises BadRequest."""
        self._members(body, "", shapes.REQUEST if self._beyond is None else shapes.FURTHER)
        if not body["messages"]:
            raise BadRequest(
                "The parameter 'messages' is an empty array; at least one message is needed.",
                param="messages",
                code="invalid_value",
            )
        for index, message in enumerate(body["messages"]):
            self._message(message, f"messages[{index}]")
        self._content(body.get("system") or "", "system", {"text": shapes.TEXT})
        self._tools(body)
        self._options(body)

    def _message(self, message: Any, path: str) -> None:
        self._members(_object(message, path), path, shapes.MESSAGE)
        blocks = shapes.BY_ROLE.get(message["role"])
        if blocks is None:
            raise invalid(f"{path}.role", _either(shapes.ROLES), message["role"])
        self._content(message["content"], f"{path}.content", blocks)

    def _content(self, content: str | list[Any], path: str, blocks: Mapping[str, Shape]) -> None:
        if not isinstance(content, str):
            for index, block in enumerate(content):
                self._block(block, f"{path}[{index}]", blocks)

    def _block(self, block: Any, path: str, blocks: Mapping[str, Shape]) -> None:
        kind = _kind(block, path)
        shape = blocks.get(kind)
        if shape is None:
            if kind in shapes.BLOCKS:
                raise invalid(f"{path}.type", _either(tuple(blocks)), kind)
            self.unsupported.append(f"{path}.type")
            return
        cites = kind == "document" and self._beyond is not None and self._beyond.citations
        self._members(block, path, shapes.CITED_DOCUMENT if cites else shape)
        if kind in ("thinking", "redacted_thinking"):
            if self._beyond is None:
                self.left_out["messages.thinking"] = None
        elif kind in ("tool_result", "search_result"):
            inner = shapes.SEEN if kind == "tool_result" else {"text": shapes.TEXT}
            self._content(block.get("content") or "", f"{path}.content", inner)
        elif kind == "image":
            if self._variant(block["source"], f"{path}.source", shapes.IMAGE_SOURCES) == "base64":
                _one_of(block["source"]["media_type"], f"{path}.source.media_type", shapes.IMAGE_TYPES)
        elif kind == "document":
            self._document(block["source"], f"{path}.source")
            if cites and block["source"]["type"] == "content" and (block.get("citations") or {}).get("enabled"):
                self.unsupported.append(f"{path}.citations")  # what it cites would have no place

    def _document(self, source: dict[str, Any], path: str) -> None:
        kind = self._variant(source, path, shapes.DOCUMENT_SOURCES)
        if kind in shapes.DOCUMENT_TYPES:
            _one_of(source.get("media_type"), f"{path}.media_type", (shapes.DOCUMENT_TYPES[kind],))
        elif kind == "content":
            inner = {"text": shapes.TEXT, "image": shapes.IMAGE}
            self._content(source["content"], f"{path}.content", inner)

    def _tools(self, body: dict[str, Any]) -> None:
        for index, tool in enumerate(body.get("tools") or ()):
            path = f"tools[{index}]"
            kind = _object(tool, path).get("type")
            if isinstance(kind, str) and kind != "custom":
                self.unsupported.append(f"{path}.type")
            else:
                self._members(tool, path, shapes.TOOL)
        if body.get("tool_choice") is not None:
            self._tool_choice(body["tool_choice"], body.get("tools") or [])

    def _tool_choice(self, choice: dict[str, Any], tools: list[dict[str, Any]]) -> None:
        kind = self._variant(choice, "tool_choice", shapes.TOOL_CHOICE, closed=True)
        if kind in ("any", "tool") and not tools:
            raise invalid("tool_choice.type", "'auto' or 'none', as there are no 'tools'", kind)
        custom = [tool["name"] for tool in tools if tool.get("type") in (None, "custom")]
        if kind == "tool" and choice["name"] not in custom:
            others = [tool.get("name") for tool in tools]
            if choice["name"] not in others:
                raise invalid("tool_choice.name", "the name of one of the 'tools'", choice["name"])
            self.unsupported.append("tool_choice.name")
        elif kind == "any" and not custom:
            self.unsupported.append("tool_choice.type")

    def _options(self, body: dict[str, Any]) -> None:
        if thinking := body.get("thinking"):
            own = self._beyond is not None and self._beyond.thinking
            self._variant(thinking, "thinking", shapes.THINKING_KEPT if own else shapes.THINKING_CONFIG)
        if output := body.get("output_config"):
            self._members(output, "output_config", shapes.OUTPUT_CONFIG)
            _one_of(output.get("effort"), "output_config.effort", shapes.EFFORTS)
            if output.get("format"):
                self._variant(output["format"], "output_config.format", shapes.FORMAT)
        if body.get("output_format"):
            self._variant(body["output_format"], "output_format", shapes.FORMAT)
        self._members(body.get("metadata") or {}, "metadata", shapes.METADATA)
        _one_of(body.get("service_tier"), "service_tier", shapes.SERVICE_TIERS)
        for index, text in enumerate(body.get("stop_sequences") or ()):
            if not isinstance(text, str):
                raise wrong_type(f"stop_sequences[{index}]", "a string", text)

    def _variant(self, value: dict[str, Any], path: str, variants: Mapping[str, Shape], closed: bool = False) -> str:
        """Checks an object by its `type`, which it returns. What is not in `variants` exists unless they are all."""
        kind = _kind(value, path)
        shape = variants.get(kind)
        if shape is not None:
            self._members(value, path, shape)
        elif closed:
            raise invalid(f"{path}.type", _either(tuple(variants)), kind)
        else:
            self.unsupported.append(f"{path}.type")
        return kind

    def _members(self, value: dict[str, Any], path: str, shape: Shape) -> None:
        for name in shape.required:
            if name not in value:
                raise missing(_joined(path, name))
        for name, member in value.items():
            types = shape.members.get(name)
            if types is not None:
                if not types.accepts(member):
                    raise wrong_type(_joined(path, name), types, member)
            elif member is None or member in shape.neutral.get(name, ()):
                continue
            elif name in shape.left_out:
                if name == "cache_control" and self._beyond is not None:
                    continue  # the target says what becomes of it
                self.left_out[f"thinking.{name}" if path == "thinking" else name] = None
            else:
                self.unsupported.append(_joined(path, _odd.sub("?", name[:_SHOWN_LIMIT])))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong_type(path, "an object", value)
    return value


def _kind(value: Any, path: str) -> str:
    kind = _object(value, path).get("type")
    if kind is None:
        raise missing(f"{path}.type")
    if not isinstance(kind, str):
        raise wrong_type(f"{path}.type", "a string", kind)
    return kind


def _one_of(value: Any, path: str, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise invalid(path, _either(allowed), value)


def _either(names: tuple[str, ...]) -> str:
    quoted = [f"'{name}'" for name in names]
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]


def missing(path: str) -> BadRequest:
    """A member that the API requires is not there."""
    return BadRequest(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def wrong_type(path: str, expected: Types | str, found: Any) -> BadRequest:
    """A member has a JSON type that the API does not take."""
    return BadRequest(
        f"Invalid type for '{path}': expected {expected}, found {json_type(found)}.", param=path, code="invalid_type"
    )


def invalid(path: str, expected: str, found: Any) -> BadRequest:
    """A member has the right type and a value that the API does not take."""
    shown = str(found) if len(str(found)) <= _SHOWN_LIMIT else f"{str(found)[:_SHOWN_LIMIT]}…"
    return BadRequest(
        f"Invalid value for '{path}': expected {expected}, found '{shown}'.", param=path, code="invalid_value"
    )
