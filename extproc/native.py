"""Which targets take a request as it is, because they speak the API of its surface. Pure.

OpenAI's API has two halves: servers with chat need not have responses.
"""

from typing import Protocol

from extproc.fit import Fit, fit_of, has_endpoint
from extproc.surface import Surface
from extproc.surfaces import OF_RESPONSES, RESPONSES
from extproc.translate.responses_openai.echoes import items_for_native


class Speaker(Protocol):
    """What is asked of a target, or of an attempt at one."""

    @property
    def api(self) -> str:
        """Whose bodies its provider speaks."""

    @property
    def preset(self) -> str | None:
        """Where it differs from OpenAI's."""

    @property
    def responses(self) -> bool:
        """Whether it has OpenAI's Responses API."""


def is_native(speaker: Speaker, surface: Surface) -> bool:
    """Whether it speaks what clients of the surface do."""
    if speaker.api != surface.api:
        return False
    if surface.passes:
        return has_endpoint(speaker.preset, surface.name)
    if surface.native_only or surface.by_id:
        return speaker.responses and (speaker.preset is None or surface.by_id)
    return speaker.responses if surface is RESPONSES else True


def native_fit(speaker: Speaker, surface: Surface, body: dict[str, object]) -> Fit | None:
    """What has to change for it: presets are about chat and its relatives."""
    if surface in OF_RESPONSES:
        return _fit_of_items(speaker, body.get("input"))
    return None if surface.passes else fit_of(speaker.preset, body)


def _fit_of_items(speaker: Speaker, items: object) -> Fit | None:
    """What responses that were translated here have left in a conversation. No answer depends on their reasoning."""
    if not isinstance(items, list):
        return None
    kept = items_for_native(items, looks_up=speaker.preset is None)
    if kept is None:
        return None
    return Fit(items=kept, left_out=("input.reasoning",) if len(kept) < len(items) else ())
