"""Headgate: the command line, the `gateway.yaml` model, Envoy's configuration and supervision."""

__version__ = "0.1.0"
