"""Soft limits that were crossed, and the webhooks that tell of them."""
