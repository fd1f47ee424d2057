"""Header blocks (HPACK, RFC 7541), read without state once the peer has agreed to that.

We announce a dynamic table of 0 bytes. Until the peer has acknowledged it, its blocks depend on one another and
`hpack` decodes them; from then on a block means the same whenever it comes, so it is read once and remembered.
Values that nobody asks for stay as they came: tracing headers differ in every request.
"""

from functools import lru_cache

import hpack
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from headgate.grpc_server.frames import Code, ConnectionFault

BLOCK_BYTES_LIMIT = 16_384
_REMEMBERED_BYTES = 1024  # blocks and texts above this are read anew
_LIST_BYTES_LIMIT = 65_536

_STATIC = HeaderTable.STATIC_TABLE

Field = tuple[bytes, bytes, bool]  # name, value, whether the value still is in Huffman code


class Headers:
    """The fields of one block. `malformed` says what makes it no request (RFC 9113, section 8.3)."""

    __slots__ = ("_fields", "content_type", "malformed", "method", "path")

    def __init__(self, fields: list[Field]) -> None:
        self._fields = fields
        self.malformed = _malformed(fields)
        self.method = self._raw(b":method")
        self.path = self._raw(b":path")
        self.content_type = self._raw(b"content-type")

    def get(self, name: str) -> str | None:
        """The first value of the header `name` (lower case); None when it is not there or not readable."""
        try:
            value = self._raw(name.encode())
        except hpack.HPACKError:
            return None
        return None if value is None else value.decode("utf-8", "replace")

    def _raw(self, name: bytes) -> bytes | None:
        for field, value, coded in self._fields:
            if field == name:
                return _text(value) if coded else value
        return None


class HeaderReader:
    """Reads the blocks of one connection, in their order."""

    def __init__(self) -> None:
        self._decoder: hpack.Decoder | None = hpack.Decoder(max_header_list_size=_LIST_BYTES_LIMIT)

    def forget_table(self) -> None:
        """The peer has acknowledged that its table has no room."""
        self._decoder = None

    def read(self, block: bytes) -> Headers:
        """The block's fields. Raises ConnectionFault for one that cannot be read."""
        try:
            if self._decoder is None:
                return _remembered(block) if len(block) <= _REMEMBERED_BYTES else _stateless(block)
            return Headers([(name, value, False) for name, value in self._decoder.decode(block, raw=True)])
        except (hpack.HPACKError, IndexError):  # an index past the end: the block is cut off
            raise ConnectionFault(Code.COMPRESSION_ERROR, "a header block cannot be read") from None


def literal(name: bytes, value: bytes) -> bytes:
    """A field for a block of ours: literal, not indexed, without Huffman code."""
    return b"\x00" + _length(name) + name + _length(value) + value


def _length(text: bytes) -> bytes:
    """RFC 7541, section 5.1, with a prefix of 7 bits."""
    rest = len(text)
    if rest < 127:
        return bytes([rest])
    rest -= 127
    octets = bytearray([127])
    while rest >= 128:
        octets.append(rest & 127 | 128)
        rest >>= 7
    octets.append(rest)
    return bytes(octets)


def _stateless(block: bytes) -> Headers:
    """Fields from the static table and literals (RFC 7541, section 6); nothing else is possible without a table."""
    fields: list[Field] = []
    at, end = 0, len(block)
    while at < end:
        first = block[at]
        if first & 0x80:
            index, at = _integer(block, at, 0x7F)
            name, value = _static(index)
            fields.append((name, value, False))
            continue
        if first & 0xE0 == 0x20:
            size, at = _integer(block, at, 0x1F)
            if size or fields:
                raise hpack.InvalidTableSizeError
            continue
        index, at = _integer(block, at, 0x3F if first & 0x40 else 0x0F)
        if index:
            name = _static(index)[0]
        else:
            name, coded, at = _string(block, at)
            name = _text(name) if coded else name
        value, coded, at = _string(block, at)
        fields.append((name, value, coded))
    return Headers(fields)


_remembered = lru_cache(maxsize=512)(_stateless)


def _static(index: int) -> tuple[bytes, bytes]:
    if not 1 <= index <= len(_STATIC):
        raise hpack.InvalidTableIndexError
    return _STATIC[index - 1]


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """The integer at `at` and where it ends. RFC 7541, section 5.1."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for shift in (0, 7, 14, 21):
        octet = block[at]
        at += 1
        value += (octet & 0x7F) << shift
        if octet < 0x80:
            return value, at
    raise hpack.HPACKDecodingError


def _string(block: bytes, at: int) -> tuple[bytes, bool, int]:
    """The string at `at` as it is written, whether that is Huffman code, and where it ends."""
    coded = block[at] >= 0x80
    length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise hpack.HPACKDecodingError
    return block[at:end], coded, end


@lru_cache(maxsize=512)
def _remembered_text(coded: bytes) -> bytes:
    return decode_huffman(coded)


def _text(coded: bytes) -> bytes:
    return _remembered_text(coded) if len(coded) <= _REMEMBERED_BYTES else decode_huffman(coded)


_REQUIRED = (b":method", b":scheme", b":path")
_PSEUDO = frozenset((*_REQUIRED, b":authority"))
_OF_CONNECTIONS = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))


def _malformed(fields: list[Field]) -> str | None:
    pseudo: set[bytes] = set()
    regular = False
    for name, _, _ in fields:
        if name.startswith(b":"):
            if regular or name in pseudo or name not in _PSEUDO:
                return "a pseudo-header in the wrong place"
            pseudo.add(name)
        else:
            regular = True
            if not name or name != name.lower() or name in _OF_CONNECTIONS:
                return "a header that HTTP/2 does not have"
    return None if pseudo.issuperset(_REQUIRED) else "a pseudo-header is missing"
