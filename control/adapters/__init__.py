"""Adapters of tenants: their versions' states, and how they come and go."""
