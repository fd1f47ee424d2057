"""Where a model of Bedrock's is asked: its id is in the path, be it a name or an ARN with slashes."""

from urllib.parse import quote


def method_path(model: str, method: str) -> str:
    """The path of one of a model's methods. Envoy signs the path as it is here, each part encoded once more."""
    return f"/model/{quote(model.encode(errors='replace'), safe='')}/{method}"


def shown_model(model: str) -> str:
    """What a client may be told: an ARN has the account's number in it."""
    return model.rpartition("/")[2] if model.startswith("arn:") else model
