"""Envoy's configuration, generated from a checked `Gateway`.

Read `filters.py` for the order in which a request passes, `render.py` for the files that come out. Everything is a
pure function of its arguments, secrets apart: `render.py` alone resolves them, into files of their own.
"""

from headgate.edge.plain_messages import make_messages_plain

make_messages_plain()
