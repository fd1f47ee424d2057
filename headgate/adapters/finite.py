"""Whether a file of weights has numbers alone: one NaN or infinity spoils every answer, and shows nowhere else.

The exponent's bits are all set in those, and in no other number. They are looked for in whole columns of bytes, at
several hundred MB a second, without a library of arrays.
"""

from typing import BinaryIO

from headgate.adapters.safetensors_header import Header

_PIECE_BYTES = 2**20  # a multiple of each type's bytes
_HIGH7 = bytes(0xFF if byte & 0x7F == 0x7F else 0 for byte in range(256))
_LOW1 = bytes(0xFF if byte & 0x80 else 0 for byte in range(256))
_HIGH5 = bytes(0xFF if byte & 0x7C == 0x7C else 0 for byte in range(256))


def not_finite(file: BinaryIO, header: Header) -> str | None:
    """The name of the first tensor that has a NaN or an infinity. Raises OSError."""
    for name, tensor in header.tensors.items():
        begin, end = tensor.data_offsets
        file.seek(header.data_at + begin)
        left = end - begin
        while left:
            piece = file.read(min(_PIECE_BYTES, left))
            if not piece or _has_any(piece, tensor.dtype):
                return name
            left -= len(piece)
    return None


def _has_any(piece: bytes, dtype: str) -> bool:
    """Numbers are little-endian: the sign and the upper bits of the exponent are in the last byte of each."""
    if dtype == "F16":  # 5 bits of exponent, all in that byte
        return 0xFF in piece[1::2].translate(_HIGH5)
    width = 2 if dtype == "BF16" else 4  # 8 bits of exponent, the lowest of them in the byte before
    high = piece[width - 1 :: width].translate(_HIGH7)
    if 0xFF not in high:
        return False
    low = piece[width - 2 :: width].translate(_LOW1)
    return bool(int.from_bytes(high, "little") & int.from_bytes(low, "little"))
