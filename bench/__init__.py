"""`headgate bench`: the gateway against plain Envoy, in one run on one machine.

Read `run.py` for the order of a run, `measure.py` for what one batch is, `report.py` for the budgets. The upstream
and the client are child processes (`upstream.py`, `client.py`) so that their CPU time is nobody's but theirs.
"""
