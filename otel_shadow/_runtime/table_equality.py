"""Equality of arrays, tables and tensors: by shape and value, NaN equal to NaN, tolerance inside.

No library is imported here: a value's class says of which it is, and the application has it. Numbers of another type
but of the same value are the same, as they are outside arrays.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

Pair = tuple[Any, Any]
Step = bool | list[Pair]
"""What is known of two values: whether they are the same, or the pairs of parts on which it depends."""

_EXACT_FLOATS = 2**53
"""Integers up to here are floats, each its own."""
_WIDE = 64
"""Columns from which a table of one plain type is compared as one array."""
_MAX_CLASSES = 4096


def table_step(a: Any, b: Any, tolerance: float) -> Step | None:
    """Compare two values of which at least one is an array, a table, a tensor or a scalar of numpy.

    Returns:
        None where neither is.
    """
    kinds = _family(type(a)), _family(type(b))
    if kinds == (None, None):
        return None
    if _SCALAR in kinds and _scalars(a, b, kinds):
        return [(_plain(a, kinds[0]), _plain(b, kinds[1]))]
    if kinds[0] != kinds[1] or kinds[0] is None:
        return False
    return kinds[0](a, b, tolerance)


# --- numpy -----------------------------------------------------------------------------------------------------------


def _scalars(a: Any, b: Any, kinds: tuple[Any, Any]) -> bool:
    """Return whether each is a scalar or no table at all, and one of them becomes a plain value or a plain array."""
    return all(kind in (_SCALAR, None) for kind in kinds)


def _plain(value: Any, kind: Any) -> Any:
    """Return a scalar of numpy as Python's own number or text, or else as an array without dimensions."""
    if kind is not _SCALAR:
        return value
    np = _numpy()
    own = value.item() if value.dtype.kind in "biufcUSO" else np.asarray(value)
    return own if type(own) is not type(value) else float(value)


def _scalar(a: Any, b: Any, tolerance: float) -> Step:
    raise NotImplementedError  # scalars become plain values or arrays before


def _arrays(a: Any, b: Any, tolerance: float) -> Step:
    np = _numpy()
    if a.shape != b.shape or a.dtype.names != b.dtype.names:
        return False
    if isinstance(a, np.ma.MaskedArray) or isinstance(b, np.ma.MaskedArray):
        masks = np.ma.getmaskarray(a), np.ma.getmaskarray(b)
        if a.dtype.names is not None or not np.array_equal(*masks):
            return [masks, (np.ma.filled(a), np.ma.filled(b))]
        return [(np.ma.getdata(a)[~masks[0]], np.ma.getdata(b)[~masks[1]])]
    if a.dtype.names is not None:
        return [(np.asarray(a)[name], np.asarray(b)[name]) for name in a.dtype.names]
    own = [(vars(a), vars(b)), (type(a), type(b))] if "numpy" not in (_root(type(a)), _root(type(b))) else []
    found = _plain_arrays(np, np.asarray(a), np.asarray(b), tolerance)
    return (
        found if isinstance(found, bool) and (not own or not found) else [*own, *(found if found is not True else ())]
    )


def _plain_arrays(np: Any, a: Any, b: Any, tolerance: float) -> Step:
    kinds = {a.dtype.kind, b.dtype.kind}
    if kinds <= set("biuf"):
        return _numbers(np, a, b, tolerance)
    if kinds <= set("biufc"):
        return [(a.real, b.real), (a.imag, b.imag)]
    if kinds <= {"M"} or kinds <= {"m"}:
        return bool(((a == b) | (np.isnat(a) & np.isnat(b))).all())
    if kinds <= {"U"} or kinds <= {"S"}:
        return bool((a == b).all())
    if "V" in kinds:
        return bool(a.dtype == b.dtype and a.tobytes() == b.tobytes())
    return [(a.ravel().tolist(), b.ravel().tolist())] if "O" in kinds or "T" in kinds else False


def _numbers(np: Any, a: Any, b: Any, tolerance: float) -> Step:
    exact, inexact = {"i", "u"} & {a.dtype.kind, b.dtype.kind}, np.result_type(a, b).kind == "f"
    if exact and inexact and any(_is_beyond_floats(np, item) for item in (a, b)):
        return [(a.ravel().tolist(), b.ravel().tolist())]
    with np.errstate(all="ignore"):
        same = a == b
        if same.all():
            return True
        if inexact:
            same |= np.isnan(a) & np.isnan(b)
        if tolerance > 0 and "b" not in (a.dtype.kind, b.dtype.kind):
            same |= _distance(np, a, b) <= tolerance
    return bool(same.all())


def _is_beyond_floats(np: Any, array: Any) -> bool:
    if array.dtype.kind not in "iu" or not array.size:
        return False
    return bool(array.max() > _EXACT_FLOATS or array.min() < -_EXACT_FLOATS)


def _distance(np: Any, a: Any, b: Any) -> Any:
    """Return how far apart numbers are; of integers modulo their width, where the distance has its place."""
    kind = np.result_type(a, b)
    further, nearer = np.maximum(a, b, dtype=kind), np.minimum(a, b, dtype=kind)
    if kind.kind == "f":
        return further - nearer
    unsigned = np.dtype(f"u{kind.itemsize}")
    return further.astype(unsigned) - nearer.astype(unsigned)


# --- tables ----------------------------------------------------------------------------------------------------------


def _frames(a: Any, b: Any, tolerance: float) -> Step:
    """Compare two pandas frames by columns, index, attributes and values."""
    if type(a) is not type(b) or a.shape != b.shape:
        return False
    around = [(a.columns, b.columns), (a.index, b.index), (a.attrs, b.attrs)]
    kinds = {*a.dtypes, *b.dtypes}
    if a.shape[1] >= _WIDE and len(kinds) == 1 and getattr(kinds.copy().pop(), "kind", "") in "biuf":
        return [*around, (a.to_numpy(), b.to_numpy())]
    columns = [_values(a.iloc[:, at], b.iloc[:, at]) for at in range(a.shape[1])]
    return False if None in columns else [*around, *(pair for pair in columns if pair is not None)]


def _series(a: Any, b: Any, tolerance: float) -> Step:
    if type(a) is not type(b) or a.shape != b.shape:
        return False
    values = _values(a, b)
    return False if values is None else [(a.index, b.index), (a.name, b.name), (a.attrs, b.attrs), values]


def _indexes(a: Any, b: Any, tolerance: float) -> Step:
    if a.shape != b.shape:
        return False
    values = _values(a, b)
    return False if values is None else [(list(a.names), list(b.names)), values]


def _values(a: Any, b: Any) -> Pair | None:
    """Return the values of two columns as arrays; None where one is of a type that the other is not."""
    extended = [item for item in (a, b) if not _is_numpy(item.dtype)]
    if not extended:
        return a.to_numpy(), b.to_numpy()
    if a.dtype != b.dtype:
        return None
    return a.to_numpy(dtype=object), b.to_numpy(dtype=object)


def _is_numpy(dtype: Any) -> bool:
    return _root(type(dtype)) == "numpy"


def _polars(a: Any, b: Any, tolerance: float) -> Step:
    """Compare two frames or series of polars, whose own ``equals`` takes NaN and null as equal to themselves."""
    if type(a) is not type(b) or a.shape != b.shape:
        return False
    if not hasattr(a, "columns"):
        return _polars_columns([a], [b])
    return a.columns == b.columns and _polars_columns(a.get_columns(), b.get_columns())


def _polars_columns(one: list[Any], other: list[Any]) -> Step:
    pairs = list(zip(one, other, strict=True))
    kinds = all((a.dtype.is_numeric(), a.name) == (b.dtype.is_numeric(), b.name) for a, b in pairs)
    return kinds and [(a.to_list(), b.to_list()) for a, b in pairs if a.dtype != b.dtype or not _polars_equal(a, b)]


def _polars_equal(a: Any, b: Any) -> bool:
    try:
        return bool(a.equals(b))
    except Exception:  # noqa: BLE001 - columns of Python's objects can't be compared by polars
        return False


def _arrow(a: Any, b: Any, tolerance: float) -> Step:
    """Compare two tables or arrays of pyarrow, whose own ``equals`` takes NaN as different from itself."""
    if type(a) is not type(b):
        return False
    if a.equals(b):
        return True
    names = [getattr(item, "column_names", None) for item in (a, b)]
    columns = [item.columns if names[0] is not None else [item] for item in (a, b)]
    if names[0] != names[1] or any(x.type != y.type for x, y in zip(*columns, strict=True)):
        return False
    return [(x.to_pylist(), y.to_pylist()) for x, y in zip(*columns, strict=True)]


def _labelled(a: Any, b: Any, tolerance: float) -> Step:
    """Compare two arrays or data sets of xarray by dimensions, coordinates, attributes and values."""
    return type(a) is type(b) and [(_labels(a), _labels(b))]


def _labels(value: Any) -> dict[str, Any]:
    inside = getattr(value, "variables", None)
    found: dict[str, Any] = {"attrs": value.attrs, "dims": tuple(value.dims), "name": getattr(value, "name", None)}
    if inside is None:
        found["values"] = value.values
        inside = {name: item.variable for name, item in getattr(value, "coords", {}).items()}
    return found | {"inside": dict(inside)}


def _tensors(a: Any, b: Any, tolerance: float) -> Step:
    """Compare two tensors of torch, wherever they are, by value."""
    return a.shape == b.shape and [(_array_of(a), _array_of(b))]


def _array_of(tensor: Any) -> Any:
    own = tensor.detach().cpu()
    own = own.to_dense() if str(own.layout) != "torch.strided" else own
    own = own.dequantize() if own.is_quantized else own
    try:
        return own.resolve_conj().numpy()
    except TypeError:  # a type that numpy lacks
        return own.double().numpy()


def _sparse(a: Any, b: Any, tolerance: float) -> Step:
    """Compare two sparse arrays of scipy by shape and value: how they keep their zeros is no difference."""
    if a.shape != b.shape:
        return False
    parts = [item.tocoo(copy=True) for item in (a, b)]
    for part in parts:
        part.sum_duplicates()
        part.eliminate_zeros()
    one, other = ([*(getattr(part, "coords", None) or (part.row, part.col)), part.data] for part in parts)
    return list(zip(one, other, strict=True))


def _array_likes(a: Any, b: Any, tolerance: float) -> Step:
    """Compare two arrays of another library (jax, tensorflow, cupy) as numpy's."""
    np = _numpy()
    arrays = [item.get() if _root(type(item)) == "cupy" else np.asarray(item) for item in (a, b)]
    return _arrays(arrays[0], arrays[1], tolerance)


# --- which library ---------------------------------------------------------------------------------------------------

Compare = Callable[[Any, Any, float], Step]
_SCALAR: Compare = _scalar
_OF_CLASS: dict[tuple[str, str], Compare] = {
    ("numpy", "generic"): _SCALAR,
    ("numpy", "ndarray"): _arrays,
    ("pandas", "DataFrame"): _frames,
    ("pandas", "Series"): _series,
    ("pandas", "Index"): _indexes,
    ("polars", "DataFrame"): _polars,
    ("polars", "Series"): _polars,
    ("xarray", "Dataset"): _labelled,
    ("xarray", "DataArray"): _labelled,
    ("xarray", "Variable"): _labelled,
    ("torch", "Tensor"): _tensors,
    ("scipy", "_spbase"): _sparse,
} | {("pyarrow", name): _arrow for name in ("Table", "RecordBatch", "Array", "ChunkedArray")}
_FAMILIES: dict[type, Compare | None] = {}


def _family(cls: type) -> Compare | None:
    """Return how objects of ``cls`` are compared; None for all that are neither arrays nor tables."""
    try:
        return _FAMILIES[cls]
    except KeyError:
        pass
    found = next((_OF_CLASS[key] for base in cls.__mro__ if (key := (_root(base), base.__name__)) in _OF_CLASS), None)
    if found is None and all(hasattr(cls, name) for name in ("__array__", "shape", "dtype")):
        found = _array_likes
    if len(_FAMILIES) >= _MAX_CLASSES:
        _FAMILIES.clear()
    _FAMILIES[cls] = found
    return found


def _numpy() -> Any:
    """Return numpy as the application has imported it: where there is an array it has."""
    return sys.modules["numpy"]


def _root(cls: type) -> str:
    return str(cls.__module__).partition(".")[0]
