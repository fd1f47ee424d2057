"""What an object may be called, and what services.objects may say. Whatever else is given leads nowhere."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.objects.location import S3Place, parse
from headgate.objects.names import checked_name, checked_prefix

BAD = [
    *("", "/", "/etc/passwd", "a/", "a//b", "..", "a/../b", "../a", ".", "a/.", ".hidden", "a/.hidden"),
    *("a\\b", "a\0b", "a\nb", "a b", "-a", "a/-b", "é", "~", "a?b", "a#b", "a%2e", "x" * 129, "a/" * 300 + "a"),
]


@pytest.mark.parametrize("name", BAD)
def test_these_are_no_names(name: str) -> None:
    with pytest.raises(ValueError, match="not the name"):
        checked_name(name)


@given(st.text(alphabet="ab./\\\0~-_: \n%", max_size=20))
def test_a_name_stays_below_its_root(name: str) -> None:
    try:
        checked_name(name)
    except ValueError:
        return
    root = Path("/srv/objects")
    assert (root / name).as_posix() == f"/srv/objects/{name}"
    assert not {"..", ".", ""} & set(name.split("/"))


@pytest.mark.parametrize("prefix", ["a", "/", "../", "a//", "a/../"])
def test_a_prefix_is_whole_parts(prefix: str) -> None:
    with pytest.raises(ValueError, match=r"prefix|name"):
        checked_prefix(prefix)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("file:///srv/objects", Path("/srv/objects")),
        ("file:///srv/with%20space/", Path("/srv/with space")),
        ("s3://bucket", S3Place("bucket", "", None, None)),
        ("s3://my.bucket/", S3Place("my.bucket", "", None, None)),
        ("s3://bucket/one/two/", S3Place("bucket", "one/two/", None, None)),
        (
            "s3://bucket/p?endpoint=http://127.0.0.1:9000&region=eu-central-1",
            S3Place("bucket", "p/", "http://127.0.0.1:9000", "eu-central-1"),
        ),
        ("s3://bucket?endpoint=https://%5B::1%5D:9000", S3Place("bucket", "", "https://[::1]:9000", None)),
    ],
)
def test_where_objects_are(url: str, place: Path | S3Place) -> None:
    assert parse(url) == place


@pytest.mark.parametrize(
    "url",
    [
        *("s3://", "s3:///prefix", "s3://B", "s3://bucket/../x", "s3://bucket/a//x", "s3://bucket/%2e%2e/x"),
        *("s3://key:hunter2@bucket", "s3://bucket?secret=hunter2", "s3://bucket?region=a&region=b"),
        *("s3://bucket?endpoint=ftp://h", "s3://bucket?endpoint=http://u:hunter2@h", "s3://bucket?endpoint="),
        *("s3://bucket?region=", "file://host/path", "file:///", "file:///a/../b", "file:///a?x=hunter2"),
        *("http://bucket", "bucket/hunter2", "s3://bucket/a b", "gs://bucket"),
    ],
)
def test_what_is_no_place_is_said_without_being_quoted(url: str) -> None:
    with pytest.raises(ValueError, match=r"^expected") as caught:
        parse(url)
    assert "hunter2" not in str(caught.value)
