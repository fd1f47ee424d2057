"""YAML or JSON text -> a plain tree (dict, list, str, int, Decimal, bool, None) with the line of every path.

Reads what is written and nothing more: only `true` and `false` are booleans, dates and `no` stay text,
fractions are exact, a key is always text. Knows nothing of gateway.yaml, and quotes no value in a message.
What is not YAML at all is a `TreeError`; what is YAML but not acceptable (duplicate keys, tags, recursion) is
collected as faults.
"""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

from headgate.config.wording import KeyPath, kind, quoted

MAX_VALUES = 500_000  # a few nested aliases can stand for more values than fit into memory

_TAG = "tag:yaml.org,2002:"
# Lengths are bounded: a longer run of digits is a digest or an id, never a quantity.
_SCALARS: dict[str, tuple[re.Pattern[str], str]] = {  # tag -> what it looks like, how it may begin
    "null": (re.compile(r"(?:~|null|Null|NULL|)\Z"), "~nN"),
    "bool": (re.compile(r"(?:true|false)\Z"), "tf"),
    "int": (re.compile(r"[-+]?(?:0|[1-9][0-9]{0,19})\Z"), "-+0123456789"),  # 010 may mean eight: it is text
    "float": (
        re.compile(r"[-+]?(?:\.[0-9]{1,20}|[0-9]{1,20}(?:\.[0-9]{0,20}|(?=[eE])))(?:[eE][-+]?[0-9]{1,4})?\Z"),
        "-+.0123456789",
    ),
    "merge": (re.compile(r"<<\Z"), "<"),
}


class TreeError(Exception):
    """The text cannot be read at all; `line` counts from 1, the message is one line."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


@dataclass(frozen=True, slots=True)
class Fault:
    """Something readable that is not acceptable, at `line` in the entry at `path`."""

    line: int
    path: KeyPath
    text: str


@dataclass(slots=True)
class Tree:
    """The values, where each stands, and what was wrong with them."""

    root: dict[str, Any] = field(default_factory=dict)
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def line(self, path: KeyPath) -> int:
        """The line of a path's key or item; of the nearest parent if the path is not in the file."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  (PyYAML's name; its own resolvers are the traps)


for _name, (_pattern, _first) in _SCALARS.items():
    _Loader.add_implicit_resolver(_TAG + _name, _pattern, [*_first, ""] if _name == "null" else list(_first))


def parse(text: str) -> Tree:
    """The tree of a text. Raises TreeError if it is no YAML, or not a mapping."""
    try:
        node = _compose(text)
        tree = Tree(lines={(): 1})
        if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null"):
            raise TreeError(1, "the file is empty")
        root = _Builder(tree).value(node, ())
    except RecursionError:
        raise TreeError(1, "nested too deeply") from None
    if not isinstance(root, dict):
        raise TreeError(node.start_mark.line + 1, f"expected a mapping at the top level, found {kind(root)}")
    tree.root = root
    return tree


def _compose(text: str) -> Any:
    if "\t" in text and _is_json(text):
        text = text.replace("\t", " ")  # in JSON, a tab cannot stand inside a string
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise TreeError(line, f"character U+{_code_point(error.character):04X} is not allowed") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error) from None


def _code_point(character: str | int) -> int:
    return character if isinstance(character, int) else ord(character)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _syntax_error(error: yaml.MarkedYAMLError) -> TreeError:
    mark = error.problem_mark or error.context_mark
    # Names of aliases and tags are dropped: an unquoted secret that starts with * or ! is read as one.
    problem = re.sub(r" '(?!<)[^']{3,}'", "", error.problem or "syntax error").replace("\n", " ")
    context = ""
    if error.context and error.context_mark and error.context.startswith("while"):
        context = f" ({error.context} that starts on line {error.context_mark.line + 1})"
    return TreeError(mark.line + 1 if mark else 1, f"not valid YAML: {problem}{context}")


class _Builder:
    """Turns PyYAML's nodes into values, filling one tree."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._open: set[int] = set()  # the nodes around the current one: meeting one again is recursion
        self._values = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._fault(node, path, "an alias refers to the entry that it stands in")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            return self._sequence(node, path)
        finally:
            self._open.discard(id(node))

    def _count(self, node: yaml.Node) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise TreeError(node.start_mark.line + 1, f"more than {MAX_VALUES} values, aliases included")

    def _fault(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self._tree.faults.append(Fault(node.start_mark.line + 1, path, text))

    def _check_tag(self, node: yaml.Node, path: KeyPath, plain: str) -> None:
        if node.tag != _TAG + plain:
            self._fault(node, path, "YAML tags (!name) are not supported")

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        name = node.tag.removeprefix(_TAG)
        text = _whole_characters(node.value)
        if name not in _SCALARS or name == "merge" or not _SCALARS[name][0].match(text):
            if name != "merge":
                self._check_tag(node, path, "str")
            return text
        if name == "float":
            return Decimal(text)
        if name == "int":
            return int(text)
        return text == "true" if name == "bool" else None

    def _sequence(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        self._check_tag(node, path, "seq")
        items = []
        for index, item in enumerate(node.value):
            self._tree.lines[*path, index] = item.start_mark.line + 1
            items.append(self.value(item, (*path, index)))
        return items

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        self._check_tag(node, path, "map")
        entries: dict[str, Any] = {}
        seen: dict[str, int] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _TAG + "merge":
                merged.append(value_node)
                continue
            key = self._key(key_node, path)
            if key is None:
                continue
            line = key_node.start_mark.line + 1
            if key in seen:
                self._fault(key_node, path, f"duplicate key {quoted(key)} (first on line {seen[key]})")
            seen.setdefault(key, line)
            self._tree.lines[*path, key] = line
            entries[key] = self.value(value_node, (*path, key))
        for source in merged:
            self._merge(source, path, entries)
        return entries

    def _key(self, node: yaml.Node, path: KeyPath) -> str | None:
        if isinstance(node, yaml.ScalarNode):
            return _whole_characters(node.value)
        sort = "a mapping" if isinstance(node, yaml.MappingNode) else "a list"
        self._fault(node, path, f"expected a key that is text, found {sort}")
        return None

    def _merge(self, source: yaml.Node, path: KeyPath, entries: dict[str, Any]) -> None:
        """Add what `<<` brings; what the mapping itself says, or an earlier source said, stays."""
        self._count(source)
        if id(source) in self._open:
            self._fault(source, path, "an alias refers to the entry that it stands in")
            return
        self._open.add(id(source))
        if isinstance(source, yaml.MappingNode):
            self._merge_mapping(source, path, entries)
        elif isinstance(source, yaml.SequenceNode):
            for item in source.value:
                self._merge(item, path, entries)
        else:
            self._fault(source, path, "expected a mapping or a list of mappings after <<")
        self._open.discard(id(source))

    def _merge_mapping(self, source: yaml.MappingNode, path: KeyPath, entries: dict[str, Any]) -> None:
        deeper = [value for key, value in source.value if key.tag == _TAG + "merge"]
        for key_node, value_node in source.value:
            key = None if key_node.tag == _TAG + "merge" else self._key(key_node, path)
            if key is not None and key not in entries:
                self._tree.lines[*path, key] = key_node.start_mark.line + 1
                entries[key] = self.value(value_node, (*path, key))
        for node in deeper:
            self._merge(node, path, entries)


def _whole_characters(text: str) -> str:
    r"""Join surrogate pairs: PyYAML reads JSON's \ud83d\ude00 as two halves of a character."""
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
