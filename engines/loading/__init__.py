"""Adapters come and go on running engines: what the directory wants is what every ready replica has.

`versions.py`, `keeping.py`, `seating.py`, `next_step.py` and `promotion.py` decide and do no IO; `calls.py`,
`files.py`, `lora.py` and `telling.py` do it; `replica_loop.py` and `engine_loop.py` go round, and `loader.py` is what
`headgate serve engines` runs.
"""
