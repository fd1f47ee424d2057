"""Imports Envoy's types before a test does: pydantic warns about how envoy-data-plane 2.2 spells validators."""

import importlib
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    importlib.import_module("headgate.edge.render")
