"""Whatever comes as a credential or as a question: an answer, and never a caller who is none."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.directory.rows import TenantEntry
from headgate.virtual_key import checksum_of, make_key
from tests.authz.asking import FILE_KEY, Asked, digest, key_row, snapshot_of

KEY, ADMIN, WRONG = make_key(), make_key(), f"hg-{'w' * 43}"
KNOWN = {KEY, ADMIN, FILE_KEY}

drawn = st.text("abcXYZ019-_", min_size=37, max_size=37)
keys = st.sampled_from([*KNOWN, WRONG]) | drawn.map(lambda text: f"hg-{text}{checksum_of(text)}")
near = st.tuples(keys, st.integers(0, 46), st.text(max_size=2)).map(
    lambda it: it[0][: it[1]] + it[2] + it[0][it[1] :]
)
junk = st.text() | st.binary().map(lambda raw: raw.decode("latin-1")) | near | keys
tokens = st.lists(junk, min_size=3, max_size=3).map(".".join)
credentials = (
    junk | tokens | st.tuples(st.sampled_from(["Bearer ", "bearer  ", "Basic ", ""]), junk | tokens).map("".join)
)
names = st.sampled_from(
    ["authorization", "api-key", "x-api-key", "openai-tenant", "x-request-id", "x-headgate-identity"]
)
paths = (
    st.sampled_from(["/v1/chat/completions", "/v1/models", "/admin/v1/tenants", "/admin/v1/openapi.json", "/"])
    | st.text()
)
requests = st.tuples(
    st.dictionaries(names, credentials, max_size=4),
    paths,
    st.text(max_size=8),
    st.text() | st.ip_addresses().map(str),
)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        tenants = f"tenants: {{acme: {{models: [m], keys: [{{name: ci, sha256: {digest(FILE_KEY)}}}]}}}}\n"
        found = Asked(snapshot_of(folder, tenants))
        found.put(TenantEntry("db"), key_row(KEY), key_row(ADMIN, "key_2", None, role="admin"))
        found.ask({"x-api-key": KEY})  # reads the pepper while the working directory is the state's
        found.ask({"x-api-key": ADMIN}, "/admin/v1/tenants")
    return found


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(requests)
def test_nobody_is_let_in_by_junk(asked: Asked, request_: tuple[dict[str, str], str, str, str]) -> None:
    headers, path, method, _ = request_
    answer = asked.ask(headers, path, method)
    given_ = {value.strip() for name, value in headers.items() if name in ("api-key", "x-api-key")}
    if "authorization" in headers:
        given_.add(headers["authorization"].partition(" ")[2].strip())
    if len(given_ & KNOWN) != 1 or len(given_) != 1:
        assert answer.status.code != 0 or (path == "/admin/v1/openapi.json" and method == "GET")
        assert not answer.ok_response.headers


@settings(max_examples=500, deadline=None)
@given(st.text() | near)
def test_a_text_that_is_no_known_key_is_nobodys(asked: Asked, text: str) -> None:
    try:
        answer = asked.ask({"x-api-key": text})
    except UnicodeEncodeError:  # no header has such text
        return
    assert (answer.status.code == 0) == (text.strip() in KNOWN - {ADMIN})


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_bytes_that_are_no_question_are_refused_as_such(asked: Asked, data: bytes) -> None:
    from google.protobuf.message import DecodeError

    try:
        question = asked.service.decode(data)
    except DecodeError:
        return
    answer = asked.service.handler(question, None)
    assert isinstance(answer, bytes)
