"""Where a model of Gemini's is asked: its name is in the path, and its method behind it."""

from urllib.parse import quote


def model_name(model: str) -> str:
    """The resource's name. `tunedModels/…` and the like are models too."""
    return model if "/" in model else f"models/{model}"


def bare_name(model: str) -> str:
    """The name as answers have it (`modelVersion`)."""
    return model.removeprefix("models/")


def method_path(model: str, method: str) -> str:
    """The path of one of a model's methods, which may have a query."""
    return f"/{quote(model_name(model).encode(errors='replace'), safe='/-._~@')}:{method}"
