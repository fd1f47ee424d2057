"""The audit log as a chain: each entry's hash covers the one before it. Pure.

An entry has a public part (when, which action, on what kind of thing, by what kind of caller) and two personal
ones: the actor (who, from where, by which request) and the subject (whose, which, before, after). The hash covers
the public part and a salted digest of each personal part. So a personal part can be dropped with its salt when
personal data has to go: the chain stays whole, and nothing can be guessed from the digest. What was dropped must be
named by a later entry of the action ERASE; a part that is missing without one is a fault.

    part's digest = SHA-256(salt, canonical JSON of the part)
    hash          = SHA-256(b"headgate audit 1\\n", previous hash, canonical JSON of the public part)
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import msgspec

from control.canonical import canonical

ERASE = "audit.erase"
FIRST = bytes(32)  # what the first entry has as the hash before it
SALT_BYTES = 32
Part = Literal["actor", "subject"]
PARTS: tuple[Part, ...] = ("actor", "subject")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: a key, a user, a client certificate or the system; of which tenant, from which address."""

    kind: str
    id: str
    tenant_id: str | None = None
    source: str | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row. `before` and `after` are canonical JSON; a part whose salt is None was dropped."""

    seq: int
    at: dt.datetime
    version: int | None
    action: str
    object_kind: str
    actor_kind: str
    actor_id: str | None
    actor_tenant_id: str | None
    source: str | None
    request_id: str | None
    actor_salt: bytes | None
    actor_digest: bytes
    tenant_id: str | None
    object_id: str | None
    before: str | None
    after: str | None
    subject_salt: bytes | None
    subject_digest: bytes
    previous: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """How far the chain is. Kept elsewhere, it shows that nothing up to there was rewritten or cut off."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class BadEntry:
    """The first entry that is not as it was written, and what is wrong with it."""

    seq: int
    problem: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many entries were looked at, where the chain ends, and what is wrong, if anything."""

    entries: int
    head: Head
    bad: BadEntry | None = None


COLUMNS: Mapping[Part, tuple[str, ...]] = {
    "actor": ("actor_id", "actor_tenant_id", "source", "request_id"),
    "subject": ("tenant_id", "object_id", "before", "after"),
}


def part_digest(salt: bytes, part: Mapping[str, Any]) -> bytes:
    """Of an actor's or a subject's part."""
    return sha256(salt + canonical(part)).digest()


def hash_of(entry: Entry) -> bytes:
    """What the entry's hash has to be."""
    public = {
        "action": entry.action,
        "actor_digest": entry.actor_digest.hex(),
        "actor_kind": entry.actor_kind,
        "at": round(entry.at.timestamp() * 1000),
        "object_kind": entry.object_kind,
        "seq": entry.seq,
        "subject_digest": entry.subject_digest.hex(),
        "version": entry.version,
    }
    return sha256(b"headgate audit 1\n" + entry.previous + canonical(public)).digest()


def ranges_of(seqs: Iterable[int]) -> list[list[int]]:
    """Ascending numbers as [first, last] pairs: what an ERASE entry names."""
    ranges: list[list[int]] = []
    for seq in seqs:
        if ranges and ranges[-1][1] == seq - 1:
            ranges[-1][1] = seq
        else:
            ranges.append([seq, seq])
    return ranges


def verify(entries: Iterable[Entry], known: Head | None = None) -> Verdict:
    """Look at all entries, from the first one on and in order. `known` is a head that was noted earlier."""
    walk = _Walk(known)
    for entry in entries:
        if problem := walk.problem_of(entry):
            return Verdict(walk.entries, walk.head, BadEntry(entry.seq, problem))
    return Verdict(walk.entries, walk.head, walk.missing())


class _Walk:
    def __init__(self, known: Head | None) -> None:
        self.head, self.entries = Head(0, FIRST), 0
        self._known = known
        self._dropped: dict[Part, set[int]] = {part: set() for part in PARTS}

    def problem_of(self, entry: Entry) -> str | None:
        """What is wrong with the next entry; it is counted if nothing is."""
        if entry.seq != self.head.seq + 1:
            return f"follows entry {self.head.seq}: entries between them are missing"
        if entry.previous != self.head.hash:
            return "does not follow the entry before it: one of them was changed or replaced"
        if entry.hash != hash_of(entry):
            return "was changed: its hash is another"
        if problem := self._problem_of_parts(entry):
            return problem
        if self._known and self._known.seq == entry.seq and self._known.hash != entry.hash:
            return "is not the entry that the noted head is of: the log was rewritten"
        self.head, self.entries = Head(entry.seq, entry.hash), self.entries + 1
        return None

    def missing(self) -> BadEntry | None:
        """What only the end shows: parts that nobody said were dropped, and a log that ends too early."""
        for part, seqs in self._dropped.items():
            if seqs:
                return BadEntry(min(seqs), f"its {part} is missing, and no {ERASE} entry says so")
        if self._known and self._known.seq > self.head.seq:
            return BadEntry(self.head.seq + 1, "is missing: the log ends before the noted head")
        return None

    def _problem_of_parts(self, entry: Entry) -> str | None:
        for part in PARTS:
            told = {name: getattr(entry, name) for name in COLUMNS[part]}
            salt = getattr(entry, f"{part}_salt")
            if salt is not None and part_digest(salt, told) != getattr(entry, f"{part}_digest"):
                return f"its {part} was changed"
            if salt is None and any(value is not None for value in told.values()):
                return f"its {part} was changed after it was dropped"
            if salt is None:
                self._dropped[part].add(entry.seq)
        if entry.action == ERASE:
            return self._cover(entry)
        return None

    def _cover(self, entry: Entry) -> str | None:
        try:
            said = msgspec.json.decode(entry.after or "", type=dict[Part, list[tuple[int, int]]])
        except msgspec.DecodeError:
            return f"does not say what was dropped: {ERASE} entries keep their subject"
        for part, ranges in said.items():
            for first, last in ranges:
                if last >= entry.seq:
                    return "says of entries after it that they were dropped"
                self._dropped[part].difference_update(range(first, last + 1))
        return None


def lines_of(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The export: one line of canonical JSON for each entry, times in RFC 3339, bytes in hex."""
    for entry in entries:
        yield canonical(_document(entry)) + b"\n"


def entry_of(line: bytes) -> Entry:
    """An exported line's entry. Raises ValueError."""
    try:
        return _of(msgspec.json.decode(line, type=dict[str, Any]))
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise ValueError("no line of an exported audit log") from error


_HEX = ("actor_salt", "actor_digest", "subject_salt", "subject_digest", "previous", "hash")


def _document(entry: Entry) -> dict[str, Any]:
    document = {name: getattr(entry, name) for name in Entry.__slots__}
    document["at"] = entry.at.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return document | {name: None if document[name] is None else document[name].hex() for name in _HEX}


def _of(document: dict[str, Any]) -> Entry:
    moment = dt.datetime.fromisoformat(document["at"])
    told = {name: None if document[name] is None else bytes.fromhex(document[name]) for name in _HEX}
    return Entry(**(document | told | {"at": moment}))
