"""The ledger: follows the spool and settles what the limiter has reserved. Reader, settlement, later the store."""
