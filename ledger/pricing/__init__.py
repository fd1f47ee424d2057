"""What a request costs, by the prices that it began with."""
