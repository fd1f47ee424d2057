"""Which file of the `secrets` folder holds a stored credential: control writes it, the supervisor hands it on.

`field` is the credential's place in the provider's entry: `api_key`, `token`, `api_keys/NAME`.
"""

_PREFIX = "stored+"  # no provider has a + in its name
MAX_FIELD_CHARS = 64  # of the database's column


def stored_file(provider: str, field: str) -> str:
    """The file's name. Neither names nor fields have a + or a colon in them."""
    return f"{_PREFIX}{provider}+{field.replace('/', ':')}"


def is_stored_file(name: str) -> bool:
    """Whether a file is one of these."""
    return name.startswith(_PREFIX)


def pool_field(key: str) -> str:
    """The field of one of a provider's `api_keys`."""
    return f"api_keys/{key}"
