"""Bodies keep their bytes: what is not edited goes out as the client wrote it, what is not JSON is refused."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.document import MEMBERS_LIMIT, Document
from extproc.refusal import BadRequest

SPELLINGS = [
    b'{"a":1.0e+05,"b":-0,"c":1E400,"d":0.10,"e":123456789012345678901234567890,"f":-0.0}',
    b' \t\r\n{ "a" :\t1 ,\n\n"b":[ 1 , 2 ] } \n',
    '{"ключ":"é漢😀","\\u0041":"\\ud83d\\ude00\\/\\b"}'.encode(),
    b'{"half":"\\ud800","z":"\\u0000"}',
    b'{"b":1,"a":2,"0":3,"":4}',
    b'{"o":{"x":1,"x":2},"l":[{},[],[[]]],"t":true,"f":false,"n":null}',
    b"{}",
    b"{ }",
]

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)
OBJECTS = st.dictionaries(st.sampled_from(["model", "stream_options", "a", "é"]) | st.text(max_size=5), JSON_VALUES)
STYLES = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.sampled_from([None, None, 0, 2, "\t"]),
        "separators": st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: ")]),
    }
)


@pytest.mark.parametrize("body", SPELLINGS)
def test_unedited_is_byte_for_byte(body: bytes) -> None:
    assert Document(body).render() == body


@given(OBJECTS, STYLES)
@settings(deadline=None)
def test_any_object_unedited(members: dict[str, Any], style: dict[str, Any]) -> None:
    body = json.dumps(members, **style).encode()
    document = Document(body)
    assert document.render() == body
    assert {name: member.value for name, member in document.members.items()} == json.loads(body)


@given(OBJECTS, STYLES, st.sampled_from(["model", "a", "é", 'new "key"']), JSON_VALUES)
@settings(deadline=None)
def test_one_member_set(members: dict[str, Any], style: dict[str, Any], name: str, value: Any) -> None:
    body = json.dumps(members, **style).encode()
    document = Document(body)
    old = document.members.get(name)
    document.set(name, value)
    rendered = document.render()
    assert json.loads(rendered) == {**members, name: value}
    assert list(json.loads(rendered)) == list({**members, name: value})
    spelled = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if old:  # everything around the value is where it was
        text = body.decode()
        assert rendered.decode() == text[: old.start] + spelled + text[old.end :]
    elif members:
        assert rendered.decode().replace(f",{json.dumps(name, ensure_ascii=False)}:{spelled}", "", 1) == body.decode()


@given(
    st.dictionaries(st.sampled_from(["include_usage", "x"]), JSON_VALUES) | st.none(),
    st.lists(st.sampled_from(["include_usage", "continuous_usage_stats"]), min_size=1, unique=True),
    st.booleans(),
    STYLES,
)
@settings(deadline=None)
def test_members_set_inside(options: Any, names: list[str], first: bool, style: dict[str, Any]) -> None:
    rest = {"model": "m", "n": 1}
    members = {"stream_options": options, **rest} if first else {**rest, "stream_options": options}
    document = Document(json.dumps(members, **style).encode())
    if options:  # without members of its own the object is set as a whole
        for name in names:
            document.set_inside("stream_options", name, True)
        document.set("model", "up")
        expected = {**members, "model": "up", "stream_options": {**options, **dict.fromkeys(names, True)}}
    else:
        document.set_inside("stream_options", names[0], True)
        expected = {**members, "stream_options": {names[0]: True}}
    assert json.loads(document.render()) == expected


@pytest.mark.parametrize("body", [b"{}", b" { } ", b'{"a":1}', b'{"a":{}}'])
def test_several_new_members(body: bytes) -> None:
    document = Document(body)
    document.set("x", 1)
    document.set("y", [2])
    assert json.loads(document.render()) == {**json.loads(body), "x": 1, "y": [2]}


def test_edits_leave_every_other_byte_in_place() -> None:
    document = Document(b' {"temperature": 1.0e+05,\r\n "stream_options" : {"x":-0 } ,"model":"m", "k":1E400}\n')
    document.set("model", 'é"')
    document.set_inside("stream_options", "include_usage", True)
    assert document.render() == (
        b' {"temperature": 1.0e+05,\r\n "stream_options" : {"x":-0,"include_usage":true } ,'
        b'"model":"\xc3\xa9\\"", "k":1E400}\n'
    )


@given(OBJECTS, STYLES, st.sampled_from(["max", "model", "é"]), st.integers(0, 10**10 - 1), st.booleans())
@settings(deadline=None)
def test_a_field_is_where_it_is_said_to_be(
    members: dict[str, Any], style: dict[str, Any], name: str, number: int, more: bool
) -> None:
    document = Document(json.dumps(members, **style).encode())
    expected = {**members, name: number}
    document.set_field(name, number, 10)
    if more:
        for other in ("a", "b"):
            document.set(other, "ü")
        expected |= dict.fromkeys(("a", "b"), "ü")
    rendered = document.render()
    assert json.loads(rendered) == expected
    at = document.field_at
    assert at is not None
    assert rendered[at : at + 10] == str(number).rjust(10).encode()
    assert json.loads(rendered[:at] + b"         7" + rendered[at + 10 :]) == {**expected, name: 7}


def test_without_a_field_there_is_no_place() -> None:
    document = Document(b'{"a":1}')
    document.set("a", 2)
    document.render()
    assert document.field_at is None


MALFORMED = [
    (b"", "line 1, column 1"),
    (b"\n\n  ", "line 3, column 3"),
    (b"[]", "line 1, column 1"),
    (b'"text"', "line 1, column 1"),
    (b"null", "line 1, column 1"),
    (b"{", "line 1, column 2"),
    (b"{,}", "line 1, column 2"),
    (b"{'a':1}", "line 1, column 2"),
    (b"{a:1}", "line 1, column 2"),
    (b'{"a" 1}', "line 1, column 6"),
    (b'{"a":}', "line 1, column 6"),
    (b'{"a":1 "b":2}', "line 1, column 8"),
    (b'{"a":1,}', "line 1, column 8"),
    (b'{\n "a": 1,\n "b": [1, 2,]\n}', "line 3, column 13"),
    (b'{\n "a": {"b": tru}}', "line 2, column 13"),
    (b'{"a":01}', "line 1, column 7"),
    (b'{"a":+1}', "line 1, column 6"),
    (b'{"a":.5}', "line 1, column 6"),
    (b'{"a":"x\ny"}', "line 1, column 8"),
    (b'{"a":"\\x"}', "line 1, column 7"),
    (b'{"a":"\\u12"}', "line 1, column 8"),
    (b'{"a":"x', "line 1, column 6"),
    (b'{"a":1} x', "line 1, column 9"),
    (b'{"a":1}{"b":2}', "line 1, column 8"),
    (b'{"a":1}\n\n]', "line 3, column 1"),
    (b'\xef\xbb\xbf{"a":1}', "line 1, column 1"),
    ('{"é漢":"😀" 1}'.encode(), "line 1, column 11"),
    (b'{"a":1}\x00', "line 1, column 8"),
    (b'{"a":1,\x0c"b":2}', "line 1, column 8"),
]


@pytest.mark.parametrize(("body", "place"), MALFORMED)
def test_malformed_says_where(body: bytes, place: str) -> None:
    with pytest.raises(BadRequest) as refused:
        Document(body)
    message = refused.value.message
    assert refused.value.code == "invalid_json"
    assert message.startswith("The body is not valid JSON: ")
    assert message.endswith(f" at {place}.")
    assert " at at " not in message
    assert ":  at" not in message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a":NaN}', "The JSON body contains NaN, which JSON does not have."),
        (b'{"a":[-Infinity]}', "The JSON body contains -Infinity, which JSON does not have."),
        (b'{"a":{"b":Infinity}}', "The JSON body contains Infinity, which JSON does not have."),
        (b'{"a":' + b"9" * 5000 + b"}", "The JSON body contains a number with too many digits."),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "The JSON body is nested too deeply."),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "The JSON body is nested too deeply."),
        (b'{"a":"\xff"}', "The body is not valid UTF-8: byte 7 cannot be read."),
        (b'{"a":"\xed\xa0\x80"}', "The body is not valid UTF-8: byte 7 cannot be read."),
        ('{"a":1}'.encode("utf-16-le"), None),
        ('{"a":1}'.encode("utf-16"), None),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_json_does_not_have(body: bytes, message: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        Document(body)
    assert refused.value.code == "invalid_json"
    assert message is None or refused.value.message == message


@pytest.mark.parametrize(
    ("body", "key", "place"),
    [
        (b'{"a":1,"a":1}', "a", "line 1, column 8"),
        (b'{"a":1,\n "b":2,\n "\\u0061":{}}', "a", "line 3, column 2"),
        (b'{"model":"x","stream":true,"model":"y"}', "model", "line 1, column 28"),
    ],
)
def test_duplicates(body: bytes, key: str, place: str) -> None:
    with pytest.raises(BadRequest) as refused:
        Document(body)
    assert (refused.value.code, refused.value.param) == ("duplicate_key", key)
    assert refused.value.message == f"The key '{key}' is given twice; the second one is at {place}."


def test_a_duplicate_inside_what_is_edited() -> None:
    document = Document(b'{"o":{"a":1,"a":2}}')
    with pytest.raises(BadRequest) as refused:
        document.set_inside("o", "b", 1)
    assert refused.value.param == "o.a"


@pytest.mark.parametrize("body", [*SPELLINGS[:6], b'{"a":"\\u00e9\\"","b":[1,{"c":null}],"d":-1.5e3}'])
def test_truncated_at_every_index(body: bytes) -> None:
    for end in range(len(body.rstrip())):
        with pytest.raises(BadRequest):
            Document(body[:end])


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ntu01eE.-+ ').map(str.encode))
@settings(deadline=None)
def test_garbage_is_refused_or_an_object(body: bytes) -> None:
    try:
        document = Document(body)
    except BadRequest:
        return
    assert isinstance(json.loads(body), dict)
    assert document.render() == body


@pytest.mark.parametrize("before", ["", "é", "\U0001f600" * 50])
@pytest.mark.parametrize("after", ["", "é", "\U0001f600" * 50])
def test_edits_keep_their_place_among_characters_of_any_width(before: str, after: str) -> None:
    text = f'{{"{before}x": "{before}", "model": "old", "{after}y": "{after}"}}'
    document = Document(text.encode())
    document.set("model", "n\u00e9w")
    document.set("z", 1)
    assert document.render().decode() == text.replace('"old"', '"n\u00e9w"')[:-1] + ',"z":1}'


def test_an_object_of_too_many_keys() -> None:
    fits = "{" + ",".join(f'"k{number}": 1' for number in range(MEMBERS_LIMIT)) + "}"
    assert len(Document(fits.encode()).members) == MEMBERS_LIMIT
    with pytest.raises(BadRequest) as refused:
        Document((fits[:-1] + ', "one more": 1}').encode())
    assert refused.value.code == "too_many_values"


@given(OBJECTS, STYLES, st.data())
@settings(max_examples=300, deadline=None)
def test_members_removed_and_renamed(members: dict[str, Any], style: dict[str, Any], data: st.DataObject) -> None:
    members = {"kept": 1} | members
    gone = data.draw(st.sets(st.sampled_from(sorted(members)).filter(lambda name: name != "kept")))
    left = [name for name in members if name not in gone]
    renamed, changed = (data.draw(st.sampled_from(left)) for _ in range(2))
    document = Document(json.dumps(members, **style).encode())
    for name in gone:  # an edit of what is taken out then says nothing
        document.set(name, "edited")
    document.set(changed, "new")
    document.set("added", 2)
    document.remove(*gone, "never there")
    document.rename(renamed, "another")
    made = json.loads(document.render(), object_pairs_hook=list)
    wanted = members | {changed: "new"} | {"added": 2}
    assert made == [
        ("another" if name == renamed else name, listed(wanted[name])) for name in wanted if name not in gone
    ]


def listed(value: Any) -> Any:
    """A value as the hook leaves it."""
    return json.loads(json.dumps(value), object_pairs_hook=list)


def test_a_removal_leaves_every_other_byte_in_place() -> None:
    document = Document(b'{ "a":1 ,\n"b" : 2.0,  "c":[ ] , "d":4 }')
    document.remove("a", "c")
    assert document.render() == b'{ "b" : 2.0 , "d":4 }'
    document = Document('{"é":1,"\\u0061":10}'.encode())
    document.set_field("a", 7, 4)
    document.rename("a", "limit")
    document.remove("é")
    assert (document.render(), document.field_at) == (b'{"limit":   7}', 9)
    assert document.edited == {"é": 1, "a": 7}
