"""The signature that Google's models put on calls of tools, in chat completions: where Google's own endpoint for
OpenAI's clients has it.
"""

from typing import Any


def signed(signature: str | None) -> dict[str, Any]:
    """The member of a call, or of a message, that holds a signature."""
    return {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}


def signature_in(extra_content: Any) -> str | None:
    """The signature in that member; None for any other form of it."""
    google = extra_content.get("google") if isinstance(extra_content, dict) else None
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return signature if isinstance(signature, str) and signature else None
