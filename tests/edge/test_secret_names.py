"""Which files of secrets a configuration needs: others are removed when a provider has gone."""

from rendering import EXAMPLE, rendered

from headgate.supervise.edge_files import secret_names

FILES = rendered(EXAMPLE.read_text())


def test_the_keys_of_all_providers_are_needed() -> None:
    """They stand in what the module's filter is told: a key that is in use must not go with a reload."""
    keys = {name for name in FILES.secrets if name.endswith(".key")}
    assert keys
    assert keys <= set(secret_names(FILES.clusters))
