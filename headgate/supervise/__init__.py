"""Supervision behind `headgate up`: every part is a child process, started, kept running and ended in order.

Read in the order of a start: `up`, `state`, `plan` (what can be refused), `edge_files`, `supervisor` (the
run), `parts`, `probes`, `admin`, `adopt` (what a killed supervisor left), `shutdown`. A part is a `part.Part`
around a `process.Process`.

And of a restart: `control`, `rolling`, `envoys`, `envoy_life`, `hot_restart`.
"""

from headgate.supervise.refusal import Refusal

__all__ = ["Refusal"]
