"""The crash test: a gateway is killed piece by piece under load, and every request is looked for afterwards."""
