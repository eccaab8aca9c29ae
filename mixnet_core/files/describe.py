"""What a setting is, in words that are the same in another process: part of a checkpoint's key.

A checkpoint must not be taken up by another training. Numbers and names describe themselves; a
function is described by its code, defaults, closure and the globals that it uses. What cannot be
described is refused, rather than taken for the same.
"""

import functools
import hashlib
import inspect
import marshal
import types

import numpy as np
import torch
from sklearn.base import BaseEstimator

TRUSTED = ("torch", "numpy", "math", "scipy", "sklearn", "mixnet_core", "builtins", "functools")
BLOCK_ROWS = 1 << 16


def describe(value, name: str = "value", seen: tuple = ()) -> object:
    """Nested lists, numbers and strings that tell two settings apart.

    Parameters
    ----------
    value : object
    name : str
        What it is called in the error.

    Raises
    ------
    ValueError
        If two such objects could differ and still be described alike.
    """
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        return repr(value)
    if isinstance(value, np.generic | np.ndarray | torch.Tensor):
        return _array(value)
    if isinstance(value, torch.device | torch.dtype | np.dtype):
        return str(value)
    if id(value) in seen:
        return "itself"
    seen = (*seen, id(value))

    def inner(part):
        return describe(part, name, seen)

    if isinstance(value, dict):
        return {str(key): inner(part) for key, part in value.items()}
    if isinstance(value, tuple | list | set | frozenset):
        parts = sorted(map(repr, value)) if isinstance(value, set | frozenset) else value
        return [inner(part) for part in parts]
    if isinstance(value, functools.partial):
        return ["partial", inner(value.func), inner(value.args), inner(value.keywords)]
    if isinstance(value, types.MethodType):
        return ["method", inner(value.__self__), inner(value.__func__)]
    if isinstance(value, types.FunctionType):
        return _function(value, name, inner)
    if isinstance(value, type):
        return _class(value, inner)
    if isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType | np.ufunc):
        return str(value) if isinstance(value, np.ufunc) else value.__qualname__
    if isinstance(value, torch.Generator | np.random.Generator | np.random.RandomState):
        raise ValueError(f"{name} must not hold a random generator where a checkpoint is kept")
    if isinstance(value, BaseEstimator):
        return [_class(type(value), inner), inner(value.get_params(deep=False))]
    if isinstance(value, torch.nn.Module):
        parts = [
            [path, _class(type(m), inner), inner(_plain(m))] for path, m in value.named_modules()
        ]
        return ["module", parts, inner(dict(value.state_dict())), str(value)]
    if hasattr(value, "__dict__") and not isinstance(value, types.ModuleType):
        return ["object", _class(type(value), inner), inner(vars(value))]
    raise ValueError(
        f"{name} must be something that a checkpoint can tell apart from others; "
        f"got {type(value).__name__} {value!r:.80}, whose contents are not known"
    )


def fingerprint(params: dict, *arrays) -> str:
    """Name of a training: its settings and data. A checkpoint of another one is not resumed."""
    found = {name: describe(value, name) for name, value in sorted(params.items())}
    digest = hashlib.sha256(repr(found).encode())
    for array in arrays:
        array = np.asarray(array)
        digest.update(f"{array.dtype} {array.shape}".encode())
        for start in range(0, len(array), BLOCK_ROWS):  # the whole may be larger than memory
            digest.update(np.ascontiguousarray(array[start : start + BLOCK_ROWS]).data)
    return digest.hexdigest()


def _array(value) -> list:
    if isinstance(value, torch.Tensor):
        value = (
            value.detach().float().cpu().numpy()
            if value.is_floating_point()
            else (value.detach().cpu().numpy())
        )
    value = np.asarray(value)
    if value.size <= 16:
        return [str(value.dtype), value.tolist()]
    content = np.ascontiguousarray(value)
    return [str(value.dtype), value.shape, hashlib.sha256(content.tobytes()).hexdigest()]


def _function(function, name: str, inner) -> list:
    """Code, defaults, closure, attributes, and the globals that the code names."""
    if _is_trusted(function):
        return [f"{function.__module__}.{function.__qualname__}"]
    used = {}
    for word in sorted(_names(function.__code__)):
        if word not in function.__globals__:
            continue
        value = function.__globals__[word]
        if isinstance(value, types.ModuleType):
            if value.__name__.partition(".")[0] not in TRUSTED:
                raise ValueError(
                    f"{name} must not use the module {value.__name__} where a checkpoint is kept: "
                    "what it holds is not part of the checkpoint's key; pass it as an argument "
                    "(functools.partial)"
                )
            used[word] = value.__name__
        else:
            used[word] = inner(value)
    cells = [inner(cell.cell_contents) for cell in function.__closure__ or ()]
    code = hashlib.sha256(marshal.dumps(_without_places(function.__code__))).hexdigest()
    rest = inner([function.__defaults__, function.__kwdefaults__, vars(function)])
    return [function.__qualname__, code, cells, used, rest]


def _class(kind: type, inner) -> list:
    """Name, and the code of what it and its own bases define."""
    own = [c for c in inspect.getmro(kind) if not _is_trusted(c)]
    members = [
        [key, inner(value.__func__ if isinstance(value, staticmethod | classmethod) else value)]
        for c in own
        for key, value in sorted(vars(c).items())
        if isinstance(value, types.FunctionType | staticmethod | classmethod)
        or (not key.startswith("__") and isinstance(value, int | float | str | tuple | list))
    ]
    return [f"{kind.__module__}.{kind.__qualname__}", members]


def _plain(module: torch.nn.Module) -> dict:
    """Attributes of a module beside its parameters, buffers, parts and hooks."""
    return {
        key: value
        for key, value in vars(module).items()
        if not key.startswith("_") and not isinstance(value, torch.nn.Module)
    }


def _names(code) -> set[str]:
    inside = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(_names, inside))


def _without_places(code):
    """The code without file names and line numbers: the same wherever it stands."""
    consts = tuple(
        _without_places(c) if isinstance(c, types.CodeType) else c for c in code.co_consts
    )
    return code.replace(co_filename="", co_firstlineno=1, co_linetable=b"", co_consts=consts)


def _is_trusted(function_or_class) -> bool:
    return (function_or_class.__module__ or "").partition(".")[0] in TRUSTED
