"""Makes the store that `services.objects` names, or the default one. Nothing is asked yet of S3."""

from pathlib import Path

from headgate.contract import OBJECTS
from headgate.objects.directory import DirectoryStore
from headgate.objects.location import parse
from headgate.objects.store import ObjectStore


def open_store(url: str | None, state: Path = Path()) -> ObjectStore:
    """`url` as in gateway.yaml; None: the directory below `state`. Raises ObjectsError; ValueError for a bad URL."""
    place = parse(url) if url else state / OBJECTS
    if isinstance(place, Path):
        return DirectoryStore(place)
    from headgate.objects.s3 import S3Store  # botocore is 20 MB: with S3 alone

    return S3Store(place, state)
