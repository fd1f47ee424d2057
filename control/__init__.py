"""Identity and control: tenants, people, keys and grants that are administered at run time, and the record of it."""
