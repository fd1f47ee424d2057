"""Limits as gateway.yaml and the database have them, of every kind and shape."""

from typing import Any

from hypothesis import strategies as st

from headgate.limits import KINDS_OF_PARTS, SCOPES, Kind

Written = st.SearchStrategy[dict[str, Any]]


def _amounts(kind: Kind, low: int, high: int) -> st.SearchStrategy[Any]:
    whole = st.integers(low, high)
    return whole | whole.map(lambda number: f"{number}.{number % 1000:03}") if kind.dimension == "usd" else whole


def _limit(kind: Kind, *, lifts: bool) -> st.SearchStrategy[Any]:
    plain = _amounts(kind, 50, 99)
    parts: dict[str, st.SearchStrategy[Any]] = {}
    if kind.shape != "slots":
        parts["soft"] = _amounts(kind, 1, 49)
    if kind.shape == "window":
        parts |= {"burst": st.integers(1, 9), "refill": st.sampled_from(["10m", "90s", 7])}
    elif kind.shape != "slots":
        more = {} if kind.dimension == "usd" else {"price": st.sampled_from([0, "0.25", 3])}
        parts["overage"] = st.fixed_dictionaries({"ceiling": _amounts(kind, 100, 200)}, optional=more)
    whole = st.fixed_dictionaries({"limit": plain}, optional=parts).filter(
        lambda said: "refill" not in said or "burst" in said
    )
    soft_alone = [st.fixed_dictionaries({"soft": parts["soft"]})] if "soft" in parts else []
    return st.one_of(plain, whole, *soft_alone, *([st.just("unlimited")] if lifts else []))


def limits(*, lifts: bool = False) -> Written:
    """Of a key; with `lifts` those of a tenant, by kind."""
    return st.fixed_dictionaries(
        {}, optional={name: _limit(kind, lifts=lifts) for name, kind in KINDS_OF_PARTS.items()}
    )


def _credits(*, lifts: bool) -> Written:
    """Of a tenant's account, if anything is said of it."""
    floor = st.integers(-50, 20) | st.integers(0, 20).map(lambda number: f"-{number}.5")
    whole = st.fixed_dictionaries({}, optional={"floor": floor, "low": st.integers(21, 99)})
    said = st.one_of(floor, whole, *([st.just("unlimited")] if lifts else []))
    return st.fixed_dictionaries({}, optional={"credits": said})


def _rules(models: list[str]) -> st.SearchStrategy[list[dict[str, Any]]]:
    whose = st.fixed_dictionaries(
        {},
        optional={
            "by": st.lists(st.sampled_from(SCOPES), min_size=1, unique=True),
            "models": st.lists(st.sampled_from(models), min_size=1, unique=True),
        },
    ).filter(bool)
    rule = st.tuples(whose, limits().filter(bool)).map(lambda both: both[0] | both[1])
    # Two rules for the same are a mistake: one of each reach is enough here.
    return st.lists(
        rule,
        max_size=2,
        unique_by=lambda one: (tuple(sorted(one.get("by", ()))), tuple(sorted(one.get("models", ())))),
    )


def entries(models: list[str], *, lifts: bool = False) -> Written:
    """Of a plan; with `lifts` of a tenant."""
    more = st.fixed_dictionaries({}, optional={"per": _rules(models), "anniversary": st.integers(1, 31)})
    return st.tuples(limits(lifts=lifts), _credits(lifts=lifts), more).map(lambda all_: all_[0] | all_[1] | all_[2])
