"""Instances of JSON schemas."""

from typing import Any

import pytest

from engines.simulator.schema import instance_of

NODE = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "next", "children"],
        }
    },
}

CASES: list[tuple[dict[str, Any], Any]] = [
    ({"const": 5, "type": "integer"}, 5),
    ({"enum": ["b", "a"]}, "b"),
    ({"type": "string"}, "simulated"),
    ({"type": "string", "maxLength": 3}, "sim"),
    ({"type": "string", "minLength": 12}, "simulated si"),
    ({"type": "string", "format": "date"}, "2025-01-02"),
    ({"type": "integer"}, 1),
    ({"type": "integer", "minimum": 2.5}, 3),
    ({"type": "integer", "maximum": -4}, -4),
    ({"type": "integer", "maximum": 0.5}, 0),
    ({"type": "integer", "exclusiveMinimum": 4}, 5),
    ({"type": "integer", "exclusiveMaximum": 0}, -1),
    ({"type": "integer", "minimum": 10, "multipleOf": 4}, 12),
    ({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.2}, 0.1),
    ({"type": "number", "exclusiveMinimum": 3}, 3.5),
    ({"type": "number", "minimum": 0.25, "maximum": 0.75}, 0.75),
    ({"type": "boolean"}, True),
    ({"type": "null"}, None),
    ({"type": ["null", "integer"]}, 1),
    ({"type": "array", "items": {"type": "integer"}}, [1]),
    ({"type": "array", "items": {"type": "integer"}, "minItems": 3, "uniqueItems": True}, [1, 2, 3]),
    ({"type": "array", "items": {"enum": ["x", "y"]}, "minItems": 2, "uniqueItems": True}, ["x", "y"]),
    ({"type": "array", "items": {"type": "string"}, "maxItems": 0}, []),
    ({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [1, 2]),
    ({"type": "object"}, {}),
    ({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["b"]}, {"a": 1, "b": "simulated"}),
    ({"properties": {"a": {"properties": {"b": {"const": None}}}}}, {"a": {"b": None}}),
    ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, 1),
    ({"oneOf": [{"const": "x"}, {"const": "y"}]}, "x"),
    (
        {"allOf": [{"properties": {"a": {"const": 1}}}, {"properties": {"b": {"const": 2}}, "type": "object"}]},
        {"a": 1, "b": 2},
    ),
    ({"$ref": "#/definitions/a~1b", "definitions": {"a/b": {"const": "slash"}}}, "slash"),
    ({"$ref": "#/nowhere", "type": "integer"}, 1),
    ({}, "simulated"),
]


@pytest.mark.parametrize(("schema", "instance"), CASES)
def test_an_instance_obeys_its_schema(schema: dict[str, Any], instance: Any) -> None:
    found = instance_of(schema)
    assert found == instance
    assert type(found) is type(instance)


def test_a_recursive_schema_ends() -> None:
    value, depth = instance_of(NODE), 0
    while value["next"] is not None:
        assert value["name"] == "simulated"
        value, depth = value["next"], depth + 1
    assert value["children"] == []
    assert depth < 10


def test_a_schema_that_nothing_satisfies_ends_too() -> None:
    schema = {"type": "object", "properties": {"self": {"$ref": "#"}}, "required": ["self"]}
    assert "self" in instance_of(schema)
    assert instance_of({"$ref": "#"}) == "simulated"
