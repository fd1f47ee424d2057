"""LoRA adapters: what is checked of them, how they are signed and stored, how engines' hosts get them.

`registry.py` is the way in and out; `layout.py` has every name, `checks.py` what an adapter has to be. Calls block.
"""
