"""What an assistant's turn has of its thinking, for targets that want it back: Anthropic's blocks as they are,
Google's signatures with their calls, or the words alone. Takes what `check` has seen; raises nothing.
"""

from typing import Any

from extproc.translate.call_signature import signed
from extproc.translate.chat import Beyond
from extproc.translate.sealed import unseal

Json = dict[str, Any]

THOUGHTS = ("thinking", "redacted_thinking")


def with_thoughts(message: Json, blocks: list[Json], beyond: Beyond) -> Json:
    """The message of the turn's other blocks, with the thinking that the target takes."""
    if not message["content"] and not message.get("tool_calls"):  # a turn cannot be thinking alone
        return message
    made, signatures = dict(message), dict[str, str]()
    if thoughts := _thoughts(blocks, beyond, signatures):
        made["thinking_blocks"] = thoughts
    words = [block["thinking"] for block in blocks if block["type"] == "thinking"]
    if beyond.thoughts == "words" and words:
        made["reasoning_content"] = "".join(words)
    if signatures and "tool_calls" in made:
        made["tool_calls"] = [call | signed(signatures.get(call["id"])) for call in made["tool_calls"]]
    return made


def _thoughts(blocks: list[Json], beyond: Beyond, signatures: dict[str, str]) -> list[Json]:
    """The blocks, each with its place among those that are sent back; `signatures` gets those of calls."""
    thoughts, place = list[Json](), 0
    for block in blocks:
        kind = block["type"]
        if kind == "tool_use" or (kind == "text" and block["text"].strip()):
            place += 1
        if kind not in THOUGHTS or (kind == "thinking" and beyond.thoughts == "words"):
            continue
        sealed = unseal(block.get("signature"))
        if sealed is not None and beyond.thoughts == "signatures":
            signatures |= sealed.signatures
        elif sealed is None or block["thinking"]:
            thoughts.append(_thought(block, place, is_sealed=sealed is not None))
            place += 1
    return thoughts


def _thought(block: Json, place: int, *, is_sealed: bool) -> Json:
    """A block as chat's clients have it. What another maker's model has signed is unsigned for this one."""
    if block["type"] == "redacted_thinking":
        return {"type": "redacted_thinking", "data": block.get("data") or "", "position": place}
    signature = "" if is_sealed else block.get("signature") or ""
    return {"type": "thinking", "thinking": block["thinking"], "signature": signature, "position": place}
