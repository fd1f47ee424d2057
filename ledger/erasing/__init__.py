"""Deleted tenants: what a host has of them goes."""
