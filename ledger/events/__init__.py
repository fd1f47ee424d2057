"""Usage as events, for those who follow it elsewhere: from the ledger's journal to Kafka."""
