"""Any changes of a directory that a database could tell of, and a plain model of what they come to."""

from typing import Any

from hypothesis import strategies as st

from headgate.credits import CreditsRow, Ending
from headgate.directory.directory import Directory
from headgate.directory.rows import (
    ADAPTER_STATES,
    KINDS,
    SHARED,
    AdapterEntry,
    AdapterVersionEntry,
    Change,
    CreditsEntry,
    GrantEntry,
    KeyRow,
    LimitsEntry,
    MembershipEntry,
    PlanEntry,
    TenantEntry,
    UserEntry,
    change_to,
    gone,
    row_of,
)

NAMES = ("a", "b", "c")
DIGESTS = tuple(bytes([number]) * 32 for number in range(4))
_names = st.sampled_from(NAMES)
_limits = st.dictionaries(st.sampled_from(["rpm", "tpm"]), st.integers(0, 3), max_size=2)
_words = st.none() | st.lists(_names, max_size=2).map(tuple)
_rows = st.one_of(
    st.builds(
        KeyRow,
        id=_names,
        tenant=st.none() | _names,
        digest=st.sampled_from(DIGESTS),
        pepper_id=st.just("p1"),
        role=st.sampled_from(["developer", "owner"]),
        endpoints=_words,
        models=_words,
        limits=st.none() | _limits,
        ends_at=st.none() | st.floats(0, 3e9),
        disabled=st.booleans(),
    ),
    st.builds(TenantEntry, id=_names, plan=st.none() | _names, zones=_words, disabled=st.booleans()),
    st.builds(PlanEntry, id=_names, limits=_limits, zones=_words),
    st.builds(LimitsEntry, tenant=_names, subject=st.just("tenant"), subject_id=st.just(""), limits=_limits),
    st.builds(LimitsEntry, tenant=_names, subject=st.just("user"), subject_id=_names, limits=_limits),
    st.builds(GrantEntry, tenant=_names, model=_names),
    st.builds(UserEntry, id=_names, issuer=st.just("https://id.example"), subject=_names, disabled=st.booleans()),
    st.builds(MembershipEntry, tenant=_names, user=_names, role=st.sampled_from(["owner", "analyst"])),
    st.builds(
        CreditsEntry,
        tenant=_names,
        since_day=st.just(20_000),
        booked_nano=st.integers(0, 3),
        ending=st.lists(st.builds(Ending, st.just(5), st.integers(0, 3)), max_size=1).map(tuple),
    ),
)
_owners = st.sampled_from((*NAMES, SHARED))
_rows |= st.builds(AdapterEntry, tenant=_owners, name=_names, base_model=_names)
_rows |= st.builds(
    AdapterVersionEntry,
    tenant=_owners,
    name=_names,
    number=st.integers(1, 3),
    state=st.sampled_from(ADAPTER_STATES),
    sha256=st.just("ab" * 32),
    weight=st.none() | st.integers(1, 100),
)
_drafts = st.lists(st.tuples(_rows, st.booleans()), max_size=6)


def histories() -> st.SearchStrategy[list[list[Change]]]:
    """What each version changes. No digest and no person is in two living rows, as the database sees to it."""
    return st.lists(_drafts, min_size=1, max_size=12).map(_possible)


def _possible(drafts: list[list[tuple[Any, bool]]]) -> list[list[Change]]:
    living: dict[tuple[str, tuple[str, ...]], Any] = {}
    history = []
    for version, some in enumerate(drafts, 1):
        changes: dict[Any, Change] = {}
        for row, stays in some:
            change = change_to(_at(row, version)) if stays else gone(type(row), row.place)
            where = (change.kind, change.place)
            others = {_unique(other) for place, other in living.items() if place != where}
            if stays and _unique(row) is not None and _unique(row) in others:
                continue
            changes[where] = change
            if stays:
                living[where] = row
            else:
                living.pop(where, None)
        history.append(list(changes.values()))
    return history


def _at(row: Any, version: int) -> Any:
    return type(row)(
        **{name: getattr(row, name) for name in row.__struct_fields__ if name != "version"}, version=version
    )


def _unique(row: Any) -> Any:
    if isinstance(row, KeyRow):
        return row.digest
    return (row.issuer, row.subject) if isinstance(row, UserEntry) else None


class Model:
    """All living rows, looked through for each question."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, tuple[str, ...]], Change] = {}

    def take(self, changes: list[Change]) -> None:
        for change in changes:
            self.rows.pop((change.kind, change.place), None)
            if change.row:
                self.rows[change.kind, change.place] = change

    def changes(self) -> list[Change]:
        return list(self.rows.values())

    def all(self, kind: type[Any]) -> list[Any]:
        return [row_of(change) for (name, _), change in self.rows.items() if KINDS[name] is kind]

    def tenants(self) -> tuple[str, ...]:
        return NAMES

    def made_of(self, tenant: str) -> Any:
        """What a tenant's row is made of."""
        entry = next((row for row in self.all(TenantEntry) if row.id == tenant), None)
        return (
            entry,
            [row for row in self.all(PlanEntry) if entry and row.id == entry.plan],
            sorted(row.model for row in self.all(GrantEntry) if row.tenant == tenant),
            sorted((row.place, str(row.limits)) for row in self.all(LimitsEntry) if row.tenant == tenant),
            sorted((row.id, str(row.limits)) for row in self._limited(tenant)),
            self._credits(tenant),
            [self._adapters(owner) for owner in (tenant, SHARED)],
        )

    def _adapters(self, tenant: str) -> list[Any]:
        """Each with its versions."""
        versions = sorted(self.all(AdapterVersionEntry), key=lambda row: row.number)
        found = sorted((row for row in self.all(AdapterEntry) if row.tenant == tenant), key=lambda row: row.name)
        return [(row, tuple(one for one in versions if one.place[:2] == row.place)) for row in found]

    def _limited(self, tenant: str) -> list[Any]:
        return [row for row in self.all(KeyRow) if row.tenant == tenant and row.limits is not None]

    def _credits(self, tenant: str) -> CreditsRow | None:
        found = [row for row in self.all(CreditsEntry) if row.tenant == tenant]
        return CreditsRow(found[0].since_day, found[0].booked_nano, found[0].ending) if found else None

    def check(self, directory: Directory) -> None:
        """Raises where the directory says something else."""
        keys = {row.digest: row for row in self.all(KeyRow)}
        assert {digest: directory.key(digest) for digest in DIGESTS} == {d: keys.get(d) for d in DIGESTS}
        users = {row.subject: row for row in self.all(UserEntry)}
        for name in NAMES:
            entry, _plans, models, _, _, account, adapters = self.made_of(name)
            assert [directory.adapters(owner) for owner in (name, SHARED)] == adapters
            assert directory.tenant(name) == entry
            assert directory.credits(name) == account
            assert directory.plan(name) == next((row for row in self.all(PlanEntry) if row.id == name), None)
            assert directory.models(name) == tuple(models)
            mine = [row for row in self.all(LimitsEntry) if row.tenant == name]
            assert directory.limits(name) == next((row for row in mine if row.subject == "tenant"), None)
            assert directory.user_limits(name) == {r.subject_id: r.limits for r in mine if r.subject == "user"}
            limited = {row.id: row.limits for row in self._limited(name)}
            assert directory.limited_keys(name) == limited
            assert directory.user("https://id.example", name) == users.get(name)
            assert directory.memberships(name) == {
                row.tenant: row.role for row in self.all(MembershipEntry) if row.user == name
            }
