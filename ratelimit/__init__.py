"""Envoy's RateLimitService: may this request go on now. Reserves its share of every limit in one round trip."""
