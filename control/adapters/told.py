"""What the sender of a version says of it, in the query: it is signed with it, and believed."""

from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, Query

from headgate.adapters.manifest import MAX_METRICS, Lineage

_ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
_LONGEST = 256
_METRIC = r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}:-?[0-9]{1,17}(\.[0-9]{1,17})?([eE][+-]?[0-9]{1,2})?"
_METRICS = f"^{_METRIC}(,{_METRIC}){{0,{MAX_METRICS - 1}}}$"


def _text(says: str) -> Any:
    return Query(description=says, min_length=1, max_length=_LONGEST, pattern=_ONE_LINE)


_Revision = Annotated[str | None, _text("Of the base model: what it was trained on.")]
_Job = Annotated[str | None, _text("The run that trained it.")]
_Parent = Annotated[int | None, Query(description="The version of this adapter that training began with.", ge=1)]
_Data = Annotated[str | None, Query(description="The SHA-256 of its data set.", pattern="^[0-9a-f]{64}$")]
_Metrics = Annotated[
    str | None, Query(description="How good it is: `eval/loss:0.12,steps:300`.", pattern=_METRICS, max_length=8192)
]


@dataclass(frozen=True, slots=True)
class Told:
    """As in the manifest; `revision` is that of the base model."""

    revision: str | None = None
    lineage: Lineage = field(default_factory=Lineage)
    metrics: dict[str, float] = field(default_factory=dict)


def _told(
    revision: _Revision = None,
    parent: _Parent = None,
    job: _Job = None,
    data_sha256: _Data = None,
    metrics: _Metrics = None,
) -> Told:
    return Told(revision, Lineage(parent, job, data_sha256), _numbers(metrics) if metrics else {})


def _numbers(text: str) -> dict[str, float]:
    pairs = (pair.partition(":") for pair in text.split(","))
    return {name: float(value) for name, _, value in pairs}


About = Annotated[Told, Depends(_told)]
