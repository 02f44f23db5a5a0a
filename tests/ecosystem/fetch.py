"""Fetch the pinned packages into ``.ecosystem/`` (ignored by git) and say where each one lies.

May not: import or run the packages. (pip asks a source distribution's build backend for its metadata; a wheel
is preferred wherever it holds the same files.)
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent
STORE = HERE.parent.parent / ".ecosystem"


@dataclass(frozen=True)
class Package:
    """One pinned package. ``kind`` is ``wheel`` or ``sdist``."""

    name: str
    version: str
    kind: str = "wheel"

    @property
    def label(self) -> str:
        """Name and version as the golden list writes them."""
        return f"{self.name}-{self.version}"

    @property
    def folder(self) -> Path:
        """Where it is unpacked."""
        return STORE / self.label


def packages() -> list[Package]:
    """The pinned packages, in the order of ``packages.toml``."""
    table = tomllib.loads((HERE / "packages.toml").read_text("utf-8"))
    return [Package(**row) for row in table["package"]]


def fetch(package: Package) -> Path:
    """Download and unpack one package unless it is there. Raises CalledProcessError when it cannot be had."""
    if package.folder.is_dir():
        return package.folder
    download = STORE / "download" / package.label
    download.mkdir(parents=True, exist_ok=True)
    only = ["--no-binary", package.name] if package.kind == "sdist" else ["--only-binary", package.name]
    pin = f"{package.name}=={package.version}"
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *only, "-d", str(download), pin], check=True
    )
    archive = next(path for path in sorted(download.iterdir()) if path.name.endswith((".whl", ".tar.gz")))
    partial = package.folder.with_suffix(".partial")
    if archive.suffix == ".whl":
        zipfile.ZipFile(archive).extractall(partial)
    else:
        _extract_tar(archive, partial)
    partial.rename(package.folder)
    return package.folder


def _extract_tar(archive: Path, folder: Path) -> None:
    """Unpack a source distribution without its outer folder, plain files only."""
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            inner = Path(*Path(member.name).parts[1:])
            if not member.isfile() or ".." in inner.parts:
                continue
            data = tar.extractfile(member)
            assert data is not None
            (folder / inner).parent.mkdir(parents=True, exist_ok=True)
            (folder / inner).write_bytes(data.read())


if __name__ == "__main__":
    for wanted in packages():
        print(wanted.label, fetch(wanted).relative_to(STORE.parent))
