"""The bytes of checked files: read without surprises, replaced as a whole or not at all.

May not: choose files, or look at what the bytes mean.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys


class Unreadable(OSError):
    """A file that cannot be checked. ``str()`` says why and what to do, without the path."""


class WriteFailed(OSError):
    """The file could not be replaced and is as it was. ``str()`` says why, without the path."""


_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)  # a pipe without a writer would be waited for without end
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def read(absolute: str, limit: int) -> bytes:
    """All bytes of a file of at most ``limit`` bytes. Raises Unreadable."""
    try:
        descriptor = os.open(absolute, _READ_FLAGS)
    except (OSError, ValueError) as error:
        raise Unreadable(_advice(absolute, error)) from error
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise Unreadable("is a directory; give the files in it, or a folder of another name")
        if not stat.S_ISREG(status.st_mode):
            raise Unreadable("not a regular file but a pipe, socket or device; copy it to a file")
        if status.st_size > limit:
            raise Unreadable(_too_large(status.st_size, limit))
        return _all_bytes(descriptor, status.st_size, limit)
    except Unreadable:
        raise
    except OSError as error:
        raise Unreadable(_advice(absolute, error)) from error
    finally:
        os.close(descriptor)


def first_bytes(absolute: str) -> bytes:
    """Enough of a regular file for its ``#!`` line; nothing where it cannot be read."""
    try:
        with open(absolute, "rb") as file:
            return file.read(128)
    except OSError:
        return b""


def stamp(absolute: str) -> tuple[int, int, int] | None:
    """When a file's content and its entry last changed (nanoseconds), between them its size in bytes.

    The entry's time tells a file that was moved over another one, which may be as old and as large. None where
    the file cannot be asked."""
    try:
        status = os.stat(absolute)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ctime_ns


def _all_bytes(descriptor: int, size: int, limit: int) -> bytes:
    """Everything to the end, also of a file that grows meanwhile or whose size is unknown (``/proc``)."""
    pieces: list[bytes] = []
    held = 0
    while True:
        piece = os.read(descriptor, max(size - held, 0) + 1)
        held += len(piece)
        pieces.append(piece)
        if not piece or held == size:  # one byte more was asked for, so a read of just the size met the end
            return b"".join(pieces) if len(pieces) > 1 else piece
        if held > limit:
            raise Unreadable(_too_large(held, limit))
        size = max(size, held + 65_536)


def _too_large(size: int, limit: int) -> str:
    return (
        f"{_megabytes(size)} is larger than `max-file-size` ({_megabytes(limit)});"
        f" raise `max-file-size` to at least {size} or add the file to `extend-exclude`"
    )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size} bytes"


def _advice(absolute: str, error: OSError | ValueError) -> str:
    """Why a path cannot be opened, and what to do."""
    if isinstance(error, PermissionError):
        if os.path.isdir(absolute):  # Windows says this of a folder
            return "is a directory; give the files in it, or a folder of another name"
        return "permission denied; make the file readable or add it to `extend-exclude`"
    if isinstance(error, FileNotFoundError):
        return "no such file or directory; it was there a moment ago, run again"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "a symbolic link that leads back to itself; remove it"
    return f"cannot be read: {reason_of(error)}; make it readable or add it to `extend-exclude`"


def reason_of(error: OSError | ValueError) -> str:
    """What the system says of a failure, without the path."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return text[:1].lower() + text[1:]


# -- writing ---------------------------------------------------------------------------------------------------


def write_atomic(absolute: str, data: bytes) -> None:
    """Replace a file's content; its mode, and where allowed its owner, stay. Raises WriteFailed.

    A symbolic link stays one: the file it points to is replaced. Another hard link to the file keeps the old
    content: to follow it, the bytes would have to be overwritten in place, where a crash leaves half of them.
    """
    target = os.path.realpath(absolute)
    try:
        status = os.stat(target)
        if not stat.S_ISREG(status.st_mode):
            raise WriteFailed("not written: not a regular file")
        if not os.access(target, os.W_OK):  # replacing needs no right to the file itself: ask, not just try
            raise PermissionError(errno.EACCES, "the file is read-only")
        _replace(target, data, status)
    except WriteFailed:
        raise
    except OSError as error:
        raise WriteFailed(f"not written, the file is unchanged: {reason_of(error)}") from error


def _replace(target: str, data: bytes, status: os.stat_result) -> None:
    """The new content beside the file, safely on disk, then moved over it."""
    folder = os.path.dirname(target)
    descriptor, temporary = _create_beside(folder)
    placed = False
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            _like_original(descriptor, status)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, target)
        placed = True
    finally:
        if not placed:
            _remove(temporary)
    _settle(folder)


def _create_beside(folder: str) -> tuple[int, str]:
    """A new, empty file that nobody else can read yet, with its name."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    number = 0
    while True:
        path = os.path.join(folder, f".mllint-{os.getpid()}-{number}.tmp")
        try:
            return os.open(path, flags, 0o600), path
        except FileExistsError:  # left by a killed process that had the same number
            number += 1


def _like_original(descriptor: int, status: os.stat_result) -> None:
    """Owner, group and mode of the file that is replaced. The owner first: changing it clears mode bits."""
    if sys.platform == "win32":
        return
    created = os.fstat(descriptor)
    if (created.st_uid, created.st_gid) != (status.st_uid, status.st_gid):
        with contextlib.suppress(PermissionError):  # only root may give files away; the content matters more
            os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(status.st_mode))


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):  # the error under way says what went wrong
        os.unlink(path)


def _settle(folder: str) -> None:
    """Ask the system to remember the new name after a power loss; some file systems cannot, and the file is fine."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
