"""mllint works the same from a wheel, an editable installation, an unpacked sdist and a plain checkout.

No network: builds without isolation, and fresh environments that borrow the libraries of the one that runs the tests.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from mllint import __version__

ROOT = Path(__file__).resolve().parent.parent
BIN = "Scripts" if os.name == "nt" else "bin"
START_METHODS = multiprocessing.get_all_start_methods()

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, code: int = 0, **environment: str) -> str:
    """Output of a command that must end with ``code``; it sees neither the checkout nor the caller's coverage."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE_", "COV_CORE_"))
    }
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def fresh_environment(folder: Path) -> Path:
    """A new virtual environment that sees the libraries of this one, but not how mllint is installed here."""
    venv.create(folder, with_pip=False)
    python = folder / BIN / "python"
    purelib = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", purelib, cwd=folder).strip())
    shared = [entry for entry in sys.path if PurePosixPath(Path(entry).as_posix()).name == "site-packages"]
    # A .pth line only extends sys.path: an editable mllint's own .pth in there is not read, and what is
    # installed here comes first.
    (site / "shared.pth").write_text("\n".join(shared))
    return python


def install(python: Path, *what: str | Path) -> None:
    offline = ("--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check", "--quiet")
    run(sys.executable, "-m", "pip", "--python", python, "install", *offline, *what, cwd=python.parent)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist and the wheel that is built from the sdist, as `python -m build` does."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=ROOT)
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def unpacked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    (sdist,) = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (root,) = folder.iterdir()
    return root


@pytest.fixture(scope="module", params=["wheel", "editable", "sdist", "checkout"])
def mllint(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[tuple[str, ...], Path]]:
    """The command that starts mllint as it was installed, and the folder it must have come from."""
    home = tmp_path_factory.mktemp(request.param)
    python = fresh_environment(home / "venv")
    command: tuple[str, ...] = (str(python.parent / "mllint"),)
    if request.param == "wheel":
        install(python, request.getfixturevalue("wheel"))
        yield command, home
    elif request.param == "editable":
        install(python, "--editable", ROOT)
        yield command, ROOT
    elif request.param == "sdist":
        unpacked: Path = request.getfixturevalue("unpacked")
        install(python, unpacked)
        yield command, home
    else:  # nothing installed: the folder above mllint/ is found through the environment
        yield (str(python), "-m", "mllint"), ROOT


def bad_project(folder: Path) -> Path:
    """A project of eight files with one sure fault in each, two megabytes: enough that a pool is used."""
    (folder / "pyproject.toml").write_text("[tool.mllint]\n")
    padding = f"# {'x' * 97}\n" * 2_500
    for number in range(8):
        (folder / f"train_{number}.py").write_text(f"def f():\n    return 1\n\n\ndef f():\n    return 2\n{padding}")
    return folder


def test_wheel_holds_the_package_and_the_rules_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {PurePosixPath(name).parts[0] for name in names}
    assert tops == {"mllint", f"mllint_train-{__version__}.dist-info"}
    rules = {path.name for path in (ROOT / "rules").glob("*.py")}
    shipped = {PurePosixPath(name).name for name in names if name.startswith("mllint/_rules/") and name.endswith(".py")}
    assert rules == shipped
    assert rules
    assert "mllint/py.typed" in names
    assert [name for name in names if name.endswith(".pyc") or "fixtures" in name] == []


def test_rule_data_files_are_shipped(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    data = [path for path in (ROOT / "rules").rglob("*") if path.is_file() and path.suffix in {".toml", ".json"}]
    assert {f"mllint/_rules/{path.relative_to(ROOT / 'rules').as_posix()}" for path in data} <= names


def test_sdist_holds_what_the_tests_need(unpacked: Path) -> None:
    for folder in ("mllint", "rules", "fixtures", "tests"):
        here = {
            path.relative_to(ROOT)
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        }
        there = {path.relative_to(unpacked) for path in (unpacked / folder).rglob("*") if path.is_file()}
        assert here == there, folder
    for name in ("README.md", "LICENSE", "hatch_build.py", ".ci/run", ".pre-commit-hooks.yaml"):
        assert (unpacked / name).read_bytes() == (ROOT / name).read_bytes(), name


def test_sdist_keeps_fixtures_byte_for_byte(unpacked: Path) -> None:
    for path in (ROOT / "fixtures").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert (unpacked / path.relative_to(ROOT)).read_bytes() == path.read_bytes(), path


def test_metadata(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    text = archive.read(f"mllint_train-{__version__}.dist-info/METADATA").decode()
    assert f"\nName: mllint-train\nVersion: {__version__}\n" in text
    assert "\nRequires-Dist: torch>=2.4; extra == 'probe'\n" in text
    plain = [line for line in text.splitlines() if line.startswith("Requires-Dist: ") and "extra ==" not in line]
    assert not [line for line in plain if "torch" in line], "torch is never a dependency of the linter"


def test_rules_come_from_the_right_place(mllint: tuple[tuple[str, ...], Path], tmp_path: Path) -> None:
    command, home = mllint
    places = {"PYTHONPATH": str(ROOT)} if "-m" in command else {}
    python = Path(command[0]).parent / "python"
    code = "from mllint.checking.packs import builtin_folder as f; print(f())"
    folder = Path(run(python, "-c", code, cwd=tmp_path, **places).strip())
    assert folder.is_relative_to(home.resolve())
    assert folder.name == ("rules" if home == ROOT else "_rules")


def test_linter_lists_every_rule(mllint: tuple[tuple[str, ...], Path], tmp_path: Path) -> None:
    command, _ = mllint
    places = {"PYTHONPATH": str(ROOT)} if "-m" in command else {}
    listed = run(*command, "linter", cwd=tmp_path, **places)
    codes = {path.name[:5].upper() for path in (ROOT / "rules").glob("ml*.py")}
    assert codes
    assert [code for code in sorted(codes) if code not in listed] == []


@pytest.mark.parametrize("method", START_METHODS)
def test_check_in_a_pool(mllint: tuple[tuple[str, ...], Path], method: str, tmp_path: Path) -> None:
    command, _ = mllint
    places = {"PYTHONPATH": str(ROOT)} if "-m" in command else {}
    bad_project(tmp_path)
    out = run(
        *command,
        *("check", "--output-format", "json", "--jobs", "2", "--no-cache", "."),
        cwd=tmp_path,
        code=1,
        MLLINT_START_METHOD=method,
        **places,
    )
    found = json.loads(out)
    assert [Path(one["filename"]).name for one in found if one["code"] == "ML501"] == [
        f"train_{n}.py" for n in range(8)
    ]


def test_an_editable_installation_writes_no_rules_into_the_checkout() -> None:
    assert not (ROOT / "mllint" / "_rules").exists()
