"""Invoices: from what the usage store has of a month to what a tenant is sent, once."""
