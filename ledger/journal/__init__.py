"""Rows on their way from the ledger to those who keep them: written where requests are counted, read by others."""
