"""Which call of a streamed chat completion a piece belongs to: servers number calls, name them, or do neither."""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class HasId(Protocol):
    """A call as it is put together."""

    id: str  # the provider's; empty until it has told one


Call = TypeVar("Call", bound=HasId)


class OpenCalls(Generic[Call]):
    """The calls of one answer, in their order; `make` is given the number of a new one."""

    def __init__(self, make: Callable[[int], Call]) -> None:
        self.all: list[Call] = []
        self._make = make
        self._by_index: dict[int, Call] = {}

    def of(self, index: int | None, given_id: str | None, name: str | None) -> tuple[Call, bool]:
        """The call that a piece belongs to, and whether it is new: by its index; by its id, or the last one, where
        servers leave that out.

        Some servers give every call the index 0: a new id with a name is a new call.
        """
        if index is not None:
            call = self._by_index.get(index)
        elif given_id:
            call = next((call for call in self.all if call.id == given_id), None)
        else:
            call = self.all[-1] if self.all and not name else None
        if call is not None and not (name and given_id and call.id and given_id != call.id):
            return call, False
        call = self._make(len(self.all))
        self.all.append(call)
        if index is not None:
            self._by_index[index] = call
        return call, True
