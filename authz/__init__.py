"""Envoy's ext_authz server: who is calling. Says yes with a tenant and a key id, or 401/403; fails closed."""
