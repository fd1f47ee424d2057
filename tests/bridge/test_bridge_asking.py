"""In whose name requests are made."""

from headgate.bridge.asking import asking_of

COME = [("x-headgate-tenant", "acme"), ("x-headgate-max-body", "1000"), ("x-request-id", "i")]


def test_requests_have_what_the_client_said_of_itself() -> None:
    asking = asking_of(
        "/tenants/acme/v1/responses?x=1",
        [
            *COME,
            ("x-headgate-kept-authorization", "Bearer hg-k"),
            ("x-headgate-kept-openai-tenant", "acme"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "x"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-headgate-target", "local"),
            ("OpenAI-Beta", "a"),
            ("openai-beta", "b"),
            ("traceparent", "00-1-2-01"),
            ("accept-encoding", "gzip"),
        ],
    )
    assert asking
    assert (asking.tenant, asking.request_id, asking.path, asking.most_bytes) == (
        *("acme", "i", "/tenants/acme/v1/responses"),
        1000,
    )
    assert asking.headers == {
        "content-type": "application/json",
        "accept": "text/event-stream",
        "authorization": "Bearer hg-k",
        "openai-tenant": "acme",
        "x-headgate-target": "local",
        "openai-beta": "a, b",
        "traceparent": "00-1-2-01",
    }
    assert "hg-k" not in repr(asking)


def test_who_did_not_come_by_envoy_is_nobody() -> None:
    assert asking_of("/v1/responses", COME[1:]) is None
    assert asking_of("/v1/responses", [COME[0], ("x-headgate-max-body", "x")]) is None
