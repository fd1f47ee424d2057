"""gateway.yaml: its model (model.py), and the check that finds every problem of a file in one run (check.py).

Nothing is imported here: workers read durations of their command line, and must not load pydantic for that.
"""
