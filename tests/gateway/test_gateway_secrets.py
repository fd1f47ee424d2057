"""Where keys, prompts and answers must not be found."""

import json
from pathlib import Path
from secrets import token_hex

import httpx2
from running_gateway import RunningGateway
from tenants import CHAT, PROVIDER_KEY, Keys, chat
from upstreams import Engine


def holders(folder: Path, *secrets: str) -> list[Path]:
    """The files below `folder` that hold one of these; links, as `secrets/` is one, are not followed."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_relative_to(folder / "secrets"):
            content = path.read_bytes()
            found += [path for secret in secrets if secret.encode() in content]
    return found


def test_envoy_shows_no_key_of_a_provider(gateway: RunningGateway, keys: Keys, other_engine: Engine) -> None:
    reply = gateway.post(CHAT, chat("keyed"), keys.acme)
    assert PROVIDER_KEY in other_engine.headers(reply.headers["x-request-id"])["authorization"]
    for path in ("/config_dump?include_eds", "/stats", "/clusters?format=json", "/certs", "/server_info", "/runtime"):
        shown = gateway.admin(path)
        assert len(shown) > 2
        assert PROVIDER_KEY.encode() not in shown, path
    dump = json.dumps(json.loads(gateway.admin("/config_dump")))
    assert "provider/keyed" in dump


def test_keys_of_providers_are_in_the_secrets_folder_alone(gateway: RunningGateway) -> None:
    assert holders(gateway.state, PROVIDER_KEY) == []
    secrets = gateway.state / "secrets"
    (file,) = [path for path in secrets.iterdir() if PROVIDER_KEY in path.read_text()]
    assert (file.name.partition("@")[0], file.suffix) == ("keyed", ".key")
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o077 == 0


def test_no_part_has_a_key_of_a_provider_in_its_environment(gateway: RunningGateway) -> None:
    parts = gateway.pids("")
    assert {"envoy", "filters-0", "filters-1", "valkey"} <= set(parts)
    for name, pid in parts.items():
        assert PROVIDER_KEY.encode() not in Path(f"/proc/{pid}/environ").read_bytes(), name
        assert PROVIDER_KEY.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes(), name


def test_prompts_answers_and_keys_are_written_nowhere(gateway: RunningGateway, keys: Keys, engine: Engine) -> None:
    prompt, answer = f"prompt-{token_hex(8)}", f"answer-{token_hex(8)}"
    messages = {"messages": [{"role": "user", "content": prompt}]}
    wish = {"text": answer}
    ids = []
    for body in (
        chat(simulate=wish) | messages,
        chat(stream=True, simulate=wish) | messages,
        chat("keyed", stream=True, simulate={**wish, "cut_after": 1}) | messages,
        chat("keyed", simulate={"status": 400, "error": {"message": f"{prompt} {answer}"}}) | messages,
        chat("dead") | messages,
        chat("closing") | messages,
        chat(prompt) | messages,
        chat(temperature=prompt) | messages,
        chat(max_tokens=1, tools=prompt) | messages,
        json.dumps(messages).encode()[:-1],
        f'{{"{prompt}": 1, "{prompt}": 2}}'.encode(),
        f'{{"model": "chat", "messages": [{prompt}]}}'.encode(),
    ):
        try:
            ids.append(gateway.post(CHAT, body, keys.acme).headers["x-request-id"])
        except httpx2.RemoteProtocolError:
            assert "cut_after" in str(body)
    ids += [gateway.post(f"{CHAT}?q={prompt}", chat(), key).headers["x-request-id"] for key in keys.unusable]
    ids.append(gateway.post(CHAT, chat(), f"{keys.acme}{prompt}").headers["x-request-id"])
    ids.append(gateway.get(f"/v1/models/{prompt}", keys.acme).headers["x-request-id"])
    for request_id in ids:
        gateway.end_line(request_id)
    assert engine.has_seen(ids[0])
    secrets = [prompt, answer, *(getattr(keys, name) for name in keys.__dataclass_fields__)]
    found = holders(gateway.state, *secrets) + holders(gateway.folder, *secrets)
    assert found == []
    for path in ("/stats", "/config_dump"):
        shown = gateway.admin(path).decode()
        assert not [secret for secret in secrets if secret in shown]
