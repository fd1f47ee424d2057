"""What botocore's own model of the service makes of a request to Converse, and of its answers."""

import base64
import functools
import json
import re
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator


@functools.cache
def _operation(name: str) -> OperationModel:
    session = botocore.session.get_session()
    return session.get_service_model("bedrock-runtime").operation_model(name)


def checked_converse(body: dict[str, Any], model: str, path: str) -> None:
    """Asserts that botocore has a name, a type and a range for each member, and would send just so, to that path."""
    method = path.rpartition("/")[2]
    operation = _operation({"converse": "Converse", "converse-stream": "ConverseStream"}[method])
    shape = operation.input_shape
    assert shape
    members = {"modelId": model, **_with_bytes(body, shape)}
    report = ParamValidator().validate(members, shape)
    assert not report.has_errors(), report.generate_report()
    _check(members, shape)
    sent = create_serializer("rest-json").serialize_to_request(members, operation)
    assert json.loads(sent["body"]) == body
    assert sent["url_path"] == path


def answered_by_converse(body: dict[str, Any]) -> dict[str, Any]:
    """An answer as botocore has it."""
    answer = {"status_code": 200, "headers": {}, "body": json.dumps(body).encode()}
    found: dict[str, Any] = create_parser("rest-json").parse(answer, _operation("Converse").output_shape)
    return found


def _check(value: Any, shape: Shape) -> None:
    """What botocore leaves to the service: enumerations, patterns, lengths, and that a union has one member."""
    rules = shape.metadata
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        assert not rules.get("union") or len(value) == 1, value
        for name, inner in value.items():
            _check(inner, shape.members[name])
    elif isinstance(shape, ListShape):
        assert rules.get("min", 0) <= len(value) <= rules.get("max", len(value)), (shape.name, value)
        for inner in value:
            _check(inner, shape.member)
    elif isinstance(shape, MapShape):
        assert rules.get("min", 0) <= len(value) <= rules.get("max", len(value)), (shape.name, value)
        for name, inner in value.items():
            _check(name, shape.key)
            _check(inner, shape.value)
    elif isinstance(value, str):
        assert not rules.get("enum") or value in rules["enum"], (shape.name, value)
        assert rules.get("min", 0) <= len(value) <= rules.get("max", len(value)), (shape.name, value)
        pattern = rules.get("pattern")
        assert not pattern or shape.name == "ConversationalModelId" or re.fullmatch(pattern, value), (
            shape.name,
            value,
        )
    elif isinstance(value, int | float) and not isinstance(value, bool):
        assert rules.get("min", value) <= value <= rules.get("max", value), (shape.name, value)


def _with_bytes(value: Any, shape: Shape) -> Any:
    """The value as botocore takes it: bytes where the API has base64."""
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        return {name: _with_bytes(inner, shape.members[name]) for name, inner in value.items()}
    if isinstance(shape, ListShape):
        return [_with_bytes(inner, shape.member) for inner in value]
    return base64.b64decode(value, validate=True) if shape.type_name == "blob" else value
