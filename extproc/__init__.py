"""Envoy's ext_proc server: turns a request into its plan. `steps.py` is the path of a request, in order.

The stream to Envoy closes with the plan: no Python runs while an answer streams.
"""
