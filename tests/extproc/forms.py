"""Forms (multipart/form-data) as clients write them, and as somebody else's parser reads them."""

from collections.abc import Sequence
from email import message_from_bytes, policy

Piece = tuple[str, bytes] | tuple[str, bytes, str]  # name, content, and the name of a file

BOUNDARY = "0123456789abcdef"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def form(*pieces: Piece, boundary: str = BOUNDARY) -> bytes:
    """The body for these parts."""
    parts = []
    for name, content, *filename in pieces:
        file = f'; filename="{filename[0]}"\r\nContent-Type: application/octet-stream' if filename else ""
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content
        )
    return b"\r\n".join([*parts, f"--{boundary}--\r\n".encode()])


def read_by_others(body: bytes, content_type: str) -> list[tuple[str, str | None, bytes]]:
    """Name, file name and content of each part, as the standard library's parser of mails has them."""
    head = b"Content-Type: " + content_type.encode() + b"\r\nMIME-Version: 1.0\r\n\r\n"
    message = message_from_bytes(head + body, policy=policy.compat32)
    assert message.is_multipart(), message.defects
    assert not message.defects
    found: list[tuple[str, str | None, bytes]] = []
    parts: Sequence[object] = message.get_payload()  # type: ignore[assignment]
    for part in parts:
        name = part.get_param("name", header="content-disposition")  # type: ignore[attr-defined]
        content = part.get_payload(decode=True)  # type: ignore[attr-defined]
        found.append((name, part.get_filename(), content))  # type: ignore[attr-defined]
    return found
