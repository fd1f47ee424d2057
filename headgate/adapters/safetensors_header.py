"""The header of a safetensors file: a length, then JSON that says of each tensor its type, shape and place.

Read by hand (https://github.com/huggingface/safetensors, "Format"), so that nothing is believed that was not checked:
no tensor is read, and what is kept is bounded by MAX_HEADER_BYTES, whatever the file says.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO

import msgspec
from msgspec import Meta

MAX_HEADER_BYTES = 8 * 2**20  # 128 experts in each of 60 layers are 7.4 MB
DTYPE_BYTES: Mapping[str, int] = {"F16": 2, "BF16": 2, "F32": 4}
_LENGTH = struct.Struct("<Q")
_METADATA = "__metadata__"
_PICKLES = (b"PK\x03\x04", *(b"\x80" + bytes([protocol]) for protocol in range(2, 6)))
_Size = Annotated[int, Meta(ge=0, le=2**48)]


class BadHeader(Exception):  # noqa: N818 - what was found
    """Not a safetensors file that can be used; the text says why."""


class Tensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`data_offsets` count from the end of the header."""

    dtype: Annotated[str, Meta(max_length=16)]
    shape: Annotated[tuple[_Size, ...], Meta(max_length=8)]
    data_offsets: tuple[_Size, _Size]


@dataclass(frozen=True, slots=True)
class Header:
    """All tensors by name, in the order of their bytes, which begin at `data_at` in the file."""

    tensors: Mapping[str, Tensor]
    data_at: int


def read_header(file: BinaryIO, size_bytes: int, *, dtypes: Mapping[str, int] = DTYPE_BYTES) -> Header:
    """Of a file that has `size_bytes`. Raises BadHeader, OSError.

    `dtypes`: those that are allowed, with the bytes of an element.
    """
    start = file.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        raise BadHeader(f"{size_bytes} bytes are no safetensors file")
    (length,) = _LENGTH.unpack(start)
    if not 2 <= length <= min(MAX_HEADER_BYTES, size_bytes - _LENGTH.size):
        raise BadHeader(_no_header(start, length, size_bytes))
    text = file.read(length)
    tensors = _tensors_of(text)
    _check_places(tensors, size_bytes - _LENGTH.size - length, dtypes)
    return Header(tensors, _LENGTH.size + length)


def _no_header(start: bytes, length: int, size_bytes: int) -> str:
    if start.startswith(_PICKLES):
        return "looks like a pickle (PyTorch's .bin or .pt); only safetensors are accepted"
    return (
        f"no safetensors file: it says that its header has {length} bytes, "
        f"allowed are {MAX_HEADER_BYTES} and no more than its own {size_bytes}"
    )


def _tensors_of(text: bytes) -> dict[str, Tensor]:
    if not text.startswith(b"{"):
        raise BadHeader("no safetensors file: its header is not a JSON object")
    try:
        found = json.loads(text.decode(), object_pairs_hook=_without_repeats, parse_constant=_no_number)
        found.pop(_METADATA, None)
        tensors = msgspec.convert(found, type=dict[str, Tensor])
    except RecursionError:
        raise BadHeader("its header is nested too deep") from None
    except (ValueError, msgspec.ValidationError) as error:
        raise BadHeader(f"its header is not as the format says: {str(error)[:200]}") from None
    if not tensors:
        raise BadHeader("it has no tensors")
    return dict(sorted(tensors.items(), key=lambda item: item[1].data_offsets))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _check_places(tensors: Mapping[str, Tensor], data_bytes: int, dtypes: Mapping[str, int]) -> None:
    """Each tensor begins where the one before ends, the last one ends with the file, and its shape says as much."""
    at = 0
    for name, tensor in tensors.items():
        shown = name[:200]
        if tensor.dtype not in dtypes:
            raise BadHeader(f"{shown}: its type is {tensor.dtype}, allowed are {', '.join(dtypes)}")
        begin, end = tensor.data_offsets
        if begin != at or end < begin:
            raise BadHeader(f"{shown}: at bytes {begin} to {end}, expected to begin at {at}: tensors lie end to end")
        if math.prod(tensor.shape) * dtypes[tensor.dtype] != end - begin:
            raise BadHeader(f"{shown}: {end - begin} bytes are not {list(tensor.shape)} of {tensor.dtype}")
        at = end
    if at != data_bytes:
        raise BadHeader(f"its tensors have {at} bytes, and {data_bytes} follow the header")
