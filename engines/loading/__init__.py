"""Adapters come and go on running engines: what the directory wants is what every ready replica has.

`next_step.py`, `keeping.py` and `promotion.py` decide and do no IO; `cache.py`, `replica.py` and `telling.py` do it;
`replica_loop.py` and `engine_loop.py` go round, and `loader.py` is what `headgate serve engines` runs.
"""
