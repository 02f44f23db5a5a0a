"""Frozen dataclasses that are made in a third of the time: those of a plain ``mllint check`` took 30 ms of its start.

``dataclasses.dataclass`` compiles six methods for each class. Here ``__init__`` alone is compiled, and the others are closures
over the class's fields. `replace`, `asdict` and `fields` work as ever, and a type checker sees the real
thing. May not: change what a dataclass does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(cls: type | None = None, /, **how: bool) -> Any:
        """``dataclasses.dataclass``, its slow part left out for classes that are frozen and have slots."""
        return _record if how == {"frozen": True, "slots": True} else dataclasses.dataclass(cls, **how)


def _record(cls: type) -> type:
    if any(dataclasses.is_dataclass(base) for base in cls.__bases__):
        return dataclasses.dataclass(frozen=True, slots=True)(cls)
    made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
    fields = dataclasses.fields(made)
    if any(not (each.init and each.compare and each.repr) or each.kw_only for each in fields):
        return dataclasses.dataclass(frozen=True, slots=True)(cls)
    made.__dataclass_params__.frozen = True  # a frozen dataclass may be derived from it
    methods = {"__init__": _initializer(made, fields), **_shared(made, tuple(each.name for each in fields))}
    for name, method in methods.items():
        if name not in cls.__dict__:
            method.__qualname__ = f"{cls.__qualname__}.{name}"
            setattr(made, name, method)
    return made  # type: ignore[no-any-return]


def _initializer(made: Any, fields: tuple[dataclasses.Field[Any], ...]) -> Callable[..., None]:
    """``__init__`` sets the slots themselves, past the ``__setattr__`` that refuses."""
    known: dict[str, Any] = {"MISSING": dataclasses.MISSING}
    head, body = ["self"], []
    for each in fields:
        name = each.name
        known[f"set_{name}"] = getattr(made, name).__set__
        value = name
        if each.default_factory is not dataclasses.MISSING:
            known[f"make_{name}"] = each.default_factory
            head.append(f"{name}=MISSING")
            value = f"make_{name}() if {name} is MISSING else {name}"
        elif each.default is not dataclasses.MISSING:
            known[f"default_{name}"] = each.default
            head.append(f"{name}=default_{name}")
        else:
            head.append(name)
        body.append(f" set_{name}(self, {value})")
    if hasattr(made, "__post_init__"):
        body.append(" self.__post_init__()")
    exec(f"def __init__({', '.join(head)}):\n" + ("\n".join(body) or " pass"), known)
    made_initializer: Callable[..., None] = known["__init__"]
    return made_initializer


def _shared(made: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The methods that need not be compiled: a frozen dataclass's, over the values of these fields."""
    values: Callable[[Any], tuple[Any, ...]] = attrgetter(*names) if len(names) > 1 else _few(names)

    def equal(self: Any, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def hashed(self: Any) -> int:
        return hash(values(self))

    def shown(self: Any) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in zip(names, values(self), strict=True))
        return f"{self.__class__.__qualname__}({inner})"

    def refuse(self: Any, name: str, *value: object) -> NoReturn:
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")

    def pickled(self: Any) -> tuple[Any, ...]:
        return self.__class__, values(self)

    refuse_too: Any = lambda self, name: refuse(self, name)  # noqa: E731  # each gets a name of its own
    return {
        "__eq__": equal,
        "__hash__": hashed,
        "__repr__": shown,
        "__setattr__": refuse,
        "__delattr__": refuse_too,
        "__reduce__": pickled,
    }


def _few(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """What ``attrgetter`` gives for two names and more."""
    return lambda self: tuple(getattr(self, name) for name in names)
