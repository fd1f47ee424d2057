"""gateway.yaml: its model, and the check that finds every problem of a file in one run."""

from headgate.config.check import Checked, Problem, check
from headgate.config.model import Gateway

__all__ = ["Checked", "Gateway", "Problem", "check"]
