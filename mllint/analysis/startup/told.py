"""What a finding says about reads of configuration: the places that belong to it, and their names.

May not: decide what is a finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mllint.analysis.startup.mutability import Read
from mllint.diagnostic import Place, Related

if TYPE_CHECKING:
    from mllint.analysis.context import Context


def named(reads: Iterable[Read]) -> tuple[str, str]:
    """Reads in a message: the first ones by name, and only the first with the number of others."""
    names = list(dict.fromkeys(f"`{each.shown}`" for each in reads))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    full = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
    return full, "".join(names[:1]) + more


def related(reads: Iterable[Read], ctx: Context) -> tuple[Related, ...]:
    """Where each configuration is read, and where it is assigned."""
    places: dict[Related, None] = {}
    for read in reads:
        way = f", on the way through `{'`, `'.join(read.via)}`" if read.via else ""
        places[_at(read.path, read.line, f"reads `{read.shown}`{way}", ctx)] = None
        if read.written is not None:
            owner = read.written.function
            places[_at(read.written.path, read.written.line, f"`{owner}` assigns it here, after the import", ctx)] = (
                None
            )
    return tuple(places)


def _at(path: str, line: int, message: str, ctx: Context) -> Related:
    """A line of a file of the project; its path in the way in which the file at hand is shown."""
    shown, whole = ctx.source.path, ctx.absolute_path
    if path == whole:
        return Related(shown, ctx.source.place(ctx.source.offset(line, 0)), message)
    if whole.endswith("/" + shown) and path.startswith(whole[: -len(shown)]):
        path = path[len(whole) - len(shown) :]
    return Related(path, Place(line, 1), message)


__all__ = ["named", "related"]
