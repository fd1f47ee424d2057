"""Each request with all that anybody knows of it: its client, the engine, the store. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.crash.clients import Answer
from bench.crash.engine import Made
from bench.crash.kept import Stored


@dataclass
class Case:
    """Everything about one request."""

    request_id: str
    answer: Answer | None = None
    made: list[Made] = field(default_factory=list)
    row: Stored | None = None

    @property
    def is_lesson(self) -> bool:
        """Whether it was asked before the ledger could guess anything."""
        return bool(self.answer and self.answer.ask.number < 0)

    @property
    def generated(self) -> int:
        """Tokens, of all attempts."""
        return sum(one.generated for one in self.made)

    @property
    def delivered(self) -> int:
        """Tokens that the client has got."""
        if not self.answer or self.answer.status != 200:
            return 0
        if not self.answer.ask.streamed:
            return self.answer.ask.tokens if self.answer.whole else 0
        return min(self.answer.events * self.made[-1].per_event, self.answer.ask.tokens) if self.made else 0

    @property
    def words(self) -> int:
        """Of the prompt: what the engine counts."""
        return self.made[-1].words if self.made else 0

    @property
    def is_finished(self) -> bool:
        """Whether the engine has made all of it and the client has it."""
        return bool(self.answer and self.answer.whole and self.answer.status == 200 and self.made[-1].completed)


def cases_of(
    answers: Sequence[Answer], made: Mapping[str, list[Made]], rows: Sequence[Stored]
) -> tuple[list[Case], list[Answer]]:
    """All that have an id, and the requests of clients that nobody knows any id of.

    Of a client that was told none, the engine's record says it, or the row, by its number. A reservation that was
    charged does not: it may be of any request that nobody has seen anything of.
    """
    by_number = {one.number: request_id for request_id, some in made.items() for one in some}
    by_number |= {int(row.user): row.request_id for row in rows if row.user}
    ids = {*made, *(row.request_id for row in rows), *(answer.request_id for answer in answers if answer.request_id)}
    cases = {request_id: Case(request_id, made=made.get(request_id, [])) for request_id in ids}
    silent: list[Answer] = []
    for answer in answers:
        if request_id := answer.request_id or by_number.get(answer.ask.number):
            cases[request_id].answer = answer
        else:
            silent.append(answer)
    for row in rows:
        case = cases[row.request_id]
        if row.sign > 0 and (case.row is None or not row.reason):
            case.row = row  # a line's own row stands, where it came after a charge
    return list(cases.values()), silent
