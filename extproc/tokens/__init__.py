"""How many tokens a request's prompt has, before it is sent: the rules are in docs/tokens.md.

`rule_of(model)` says how a model counts, `prompt_of(surface, get, rule)` what of a body is counted, `room` decides
whether it fits. All of that is pure, and `Prompt.at_most` often enough; what counts exactly is `counter.Counter`.
"""

from extproc.tokens.prompt import prompt_of
from extproc.tokens.room import asked_for, limit_of, room, room_at_a_glance
from extproc.tokens.rules import Rule, rule_of
from extproc.tokens.tally import Prompt, Size

__all__ = ["Prompt", "Rule", "Size", "asked_for", "limit_of", "prompt_of", "room", "room_at_a_glance", "rule_of"]
