"""What the ledger shows: limits as they stand, metrics, log lines, when keys were used."""
