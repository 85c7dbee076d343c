r"""Arrow columns of texts: joined, spelled as JSON, hashed and counted, a few million bytes at a time.

    as_json(pa.array(["two\nlines"]))       -> ['"two\\nlines"'], as orjson spells it
    chat(questions, answers)                -> [[{role: user, content: ...}, {role: assistant, content: ...}], ...]

What a loop over rows does in microseconds a row, these do in tenths, and without holding Python's lock. No column here
holds nulls, and none is a slice of another.

Constants and columns are made from buffers (`text`, `texts`, `column`): `pa.scalar` and `pa.array` look for pandas
first, and to import that takes longer than an export of ten thousand rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_SHORT = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
_SPACES = (9, 10, 11, 12, 13, 28, 29, 30, 31, 32)
"""The ASCII characters at which `str.split` splits."""


def bytes_of(texts: pa.Array) -> tuple[Any, Any]:
    """Return the UTF-8 bytes of all texts (uint8), and where each begins and the last ends (int32, one more)."""
    import numpy as np

    if not len(texts):
        return np.empty(0, np.uint8), np.zeros(1, np.int32)
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(data or b"", np.uint8)[: ends[-1]], ends


def texts_of(data: bytes, ends: Any) -> pa.Array:
    """Return the column of texts whose UTF-8 bytes these are: what `bytes_of` takes apart."""
    import pyarrow as pa

    return pa.StringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(data))


def texts(values: Iterable[str]) -> pa.Array:
    """Return a column of texts."""
    import numpy as np

    data = [value.encode() for value in values]
    return texts_of(b"".join(data), np.cumsum([0, *map(len, data)], dtype=np.int32))


@lru_cache(maxsize=1_000)
def text(value: str) -> pa.Scalar:
    """Return a text as a constant for Arrow."""
    return texts([value])[0]


def column(values: Any) -> pa.Array:
    """Return an Arrow column of numbers or truth values (a numpy array)."""
    import numpy as np
    import pyarrow as pa

    kind = pa.from_numpy_dtype(values.dtype)
    data = np.packbits(values, bitorder="little") if values.dtype == bool else np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(data)])


def numbers_of(values: pa.Array) -> Any:
    """Return a column of whole numbers as a numpy array."""
    import numpy as np

    kind = np.dtype(f"i{values.type.bit_width // 8}")
    return np.frombuffer(values.buffers()[1] or b"", kind)[values.offset : values.offset + len(values)]


def lengths(texts: pa.Array) -> Any:
    """Return the characters of each text (int64)."""
    import pyarrow.compute as pc

    return numbers_of(pc.utf8_length(texts)).astype("i8")


def are_empty(texts: pa.Array) -> pa.Array:
    """Return which texts are empty."""
    _, ends = bytes_of(texts)
    return column(ends[1:] == ends[:-1])


def join(*parts: pa.Array | str) -> pa.Array:
    """Return texts put together row by row from columns and constants."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(*map(_constant, parts), text(""))


def where(condition: pa.Array, then: pa.Array | str, other: pa.Array | str) -> pa.Array:
    """Return `then` where the condition holds, else `other`; each a column or a constant."""
    import pyarrow.compute as pc

    return pc.if_else(condition, _constant(then), _constant(other))


def _constant(part: pa.Array | str) -> Any:
    return text(part) if isinstance(part, str) else part


def escaped(texts: pa.Array) -> pa.Array:
    """Return texts as they stand between the quotes of a JSON string."""
    import numpy as np
    import pyarrow.compute as pc

    data, _ = bytes_of(texts)
    for mark in ("\\", '"'):  # the backslash first: the others bring new ones
        if (data == ord(mark)).any():
            texts = pc.replace_substring(texts, mark, f"\\{mark}")
    controls = data < 32
    for control in np.unique(data[controls]).tolist() if controls.any() else ():
        texts = pc.replace_substring(texts, chr(control), _SHORT.get(control, f"\\u{control:04x}"))
    return texts


def as_json(values: pa.Array) -> pa.Array:
    """Return each value as JSON; texts, and lists and structs of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_string(values.type):
        return join('"', escaped(values), '"')
    if pa.types.is_list(values.type):
        inner = pa.ListArray.from_arrays(values.offsets, as_json(values.values))
        return join("[", pc.binary_join(inner, text(",")), "]")
    return json_objects({field.name: values.field(field.name) for field in values.type})


def json_objects(columns: Mapping[str, pa.Array], end: str = "}") -> pa.Array:
    """Return rows as JSON objects, their keys in the order of the columns."""
    import pyarrow as pa

    parts, before = list[Any](), "{"
    for name, values in columns.items():
        if pa.types.is_string(values.type):  # its quotes as part of the constants: each text is copied once
            parts += [f'{before}"{name}":"', escaped(values)]
            before = '",'
        else:
            parts += [f'{before}"{name}":', as_json(values)]
            before = ","
    return join(*parts, before.removesuffix(",") + end)


def chat(questions: pa.Array, answers: pa.Array) -> pa.Array:
    """Return conversations of two turns as lists of role and content."""
    import numpy as np
    import pyarrow as pa

    count = len(questions)
    order = np.arange(2 * count).reshape(2, count).T.ravel()
    contents = pa.concat_arrays([questions, answers]).take(column(order))
    roles = where(column(np.arange(2 * count) % 2 == 0), "user", "assistant")
    turns = pa.StructArray.from_arrays([roles, contents], ["role", "content"])
    return pa.ListArray.from_arrays(column(np.arange(0, 2 * count + 1, 2, dtype=np.int32)), turns)


def sha256_starts(texts: pa.Array, size: int) -> bytes:
    """Return the first `size` bytes of each text's sha256, one behind the other."""
    data, ends = bytes_of(texts)
    data, empty, hashes = data.tobytes(), hashlib.sha256(), []
    for start, end in pairwise(ends.tolist()):
        of_text = empty.copy()  # costs a third less than a new one
        of_text.update(data[start:end])
        hashes.append(of_text.digest()[:size])
    return b"".join(hashes)


def fixed_width(data: bytes, width: int) -> pa.Array:
    """Return ASCII bytes as texts of `width` characters each."""
    import numpy as np

    return texts_of(data, np.arange(0, len(data) + 1, width, dtype=np.int32))


def word_counts(texts: pa.Array) -> Any:
    """Return `len(text.split())` of each text."""
    import numpy as np

    data, ends = bytes_of(texts)
    inside = data > ord(" ")
    controls = np.flatnonzero(data < ord(" "))
    inside[controls[~np.isin(data[controls], _SPACES)]] = True  # rare: controls that are no space
    begins = np.empty_like(inside)
    begins[:1] = inside[:1]
    np.greater(inside[1:], inside[:-1], out=begins[1:])
    starts = ends[:-1][np.diff(ends) > 0]
    begins[starts] = inside[starts]  # the row before may end inside of a word
    counts = np.diff(_upto(begins, ends))
    for row in rows_with(data >= 128, ends).tolist():  # there are more spaces in Unicode
        counts[row] = len(texts[row].as_py().split())
    return counts


def _upto(mask: Any, ends: Any) -> Any:
    """Return how many bytes of the mask are set before each end."""
    import numpy as np

    bits = np.packbits(mask, bitorder="little")
    words = np.zeros(len(bits) // 8 + 1, "<u8")
    words.view(np.uint8)[: len(bits)] = bits
    before = np.zeros(len(words), np.int64)
    np.cumsum(np.bitwise_count(words[:-1]), out=before[1:])
    word, bit = ends >> 6, (ends & 63).astype(np.uint64)
    return before[word] + np.bitwise_count(words[word] & ((np.uint64(1) << bit) - np.uint64(1)))


def rows_with(mask: Any, ends: Any) -> Any:
    """Return the numbers of the rows that hold a byte of the mask, ascending."""
    import numpy as np

    return np.unique(np.searchsorted(ends, np.flatnonzero(mask), side="right") - 1)
