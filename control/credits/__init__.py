"""Credits: what was booked for tenants, what their use has taken of it, and what has ended."""
