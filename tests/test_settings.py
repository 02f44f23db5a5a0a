"""Settings: keys, types, layers of the command line; configuration files found as ruff finds them."""

from __future__ import annotations

import os
import pickle
from dataclasses import fields
from pathlib import Path

import pytest

from mllint.reading.config import Finder, project_root
from mllint.settings import (
    DEFAULT_EXCLUDE,
    KEYS,
    ConfigError,
    Flags,
    Layer,
    Settings,
    flags_from_table,
    from_table,
    merge,
)


def table(**keys: object) -> Settings:
    return from_table(
        {key.replace("_", "-"): value for key, value in keys.items()}, config_path="/p/mllint.toml", root="/p"
    )


def test_every_key_is_read() -> None:
    values: dict[str, object] = {
        "extend": "/p/base.toml",
        "preview": True,
        "per-file-ignores": {"a/*": ["ML5"]},
        "extend-per-file-ignores": {"!b": ["ML2", "ML3"]},
        "extend-safe-fixes": ["ML201"],
        "extend-unsafe-fixes": ["ML301"],
        "rules": ["/p/lint"],
        "allow-packs": ["/p/lint"],
        "options": {"ML201": {"depth": 3}},
        "probe": {"target": "train.py:fn", "skip-checks": ["a"]},
        "baseline": "/p/known.json",
        "fail-on": "error",
        "exclude": ["a"],
        "extend-exclude": ["b/c"],
        "force-exclude": True,
        "respect-gitignore": False,
        "output-format": "json",
        "fix": True,
        "unsafe-fixes": True,
        "show-fixes": True,
        "max-file-size": 5,
        "jobs": 3,
        "cache": False,
        "cache-dir": "here",
    }
    says: dict[str, object] = {
        "select": ["ML2"],
        "extend-select": ["ML301"],
        "ignore": ["ML202"],
        "fixable": [],
        "extend-fixable": ["ML2"],
        "unfixable": ["ML201"],
    }
    settings = from_table(values | says, config_path="/p/mllint.toml", root="/p")
    read = {key: getattr(settings, key.replace("-", "_")) for key in values}
    wanted = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    assert read == wanted | {
        "cache-dir": "/p/here",
        "per-file-ignores": (("a/*", ("ML5",)),),
        "extend-per-file-ignores": (("!b", ("ML2", "ML3")),),
        "options": (("ML201", "depth", 3, "/p/mllint.toml"),),
        "probe": (("target", "/p/train.py:fn", "/p/mllint.toml"), ("skip_checks", ("a",), "/p/mllint.toml")),
    }
    assert (settings.root, settings.config_path) == ("/p", "/p/mllint.toml")
    layer = {key.replace("-", "_"): tuple(value) for key, value in says.items() if isinstance(value, list)}
    assert settings.layers == (Layer("/p/mllint.toml", **layer),)  # type: ignore[arg-type]
    assert dict(settings.origins) == {key.replace("-", "_"): "/p/mllint.toml" for key in values}
    assert set(values) | set(says) == set(KEYS), "a key that this test leaves out"
    assert {field.name for field in fields(Flags)} - {"cwd", "where"} == {name.replace("-", "_") for name in KEYS}


def test_defaults() -> None:
    settings = table()
    assert settings.exclude == DEFAULT_EXCLUDE and {".git", "wandb", "mlruns", "site-packages"} <= set(DEFAULT_EXCLUDE)
    assert (settings.fail_on, settings.output_format, settings.max_file_size) == ("warning", "full", 10_000_000)
    assert pickle.loads(pickle.dumps(settings)) == settings and hash(settings) == hash(table())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"selct": []}, "unknown key `selct`; did you mean `select`?"),
        ({"fail_on": "error"}, "unknown key `fail_on`; write `fail-on`"),
        ({"Jobs": 1}, "unknown key `Jobs`; write `jobs`"),
        ({"xyzzy": 1}, "unknown key `xyzzy`; the keys are `allow-packs`, `baseline`, `cache`, `cache-dir`, `exclude`,"),
        ({"config-path": "x"}, "unknown key `config-path`"),
        ({"lint": {"select": ["ML2"]}}, "unknown key `lint`; there is no such table here; write its keys directly"),
        ({"extend-ignore": ["ML2"]}, "unknown key `extend-ignore`; write `ignore`, which adds to"),
        ({"fix": 1}, "`fix` must be true or false, not 1"),
        ({"fix": "yes"}, '`fix` must be true or false, not "yes"'),
        ({"jobs": True}, "`jobs` must be a whole number, not true"),
        ({"jobs": 1.5}, "`jobs` must be a whole number, not 1.5"),
        ({"jobs": -1}, "`jobs` must be at least 0, not -1"),
        ({"max-file-size": 0}, "`max-file-size` must be at least 1, not 0"),
        ({"fail-on": "eror"}, '`fail-on` must be one of "error", "warning", "info", not "eror"'),
        ({"output-format": "JSON"}, 'not "JSON"; did you mean "json"?'),
        (
            {"output-format": "xml"},
            '`output-format` must be one of "full", "concise", "grouped", "json", "json-lines", "junit", "github", "gitlab",',
        ),
        ({"output-format": 3}, "`output-format` must be a string, not 3"),
        ({"select": "ML2"}, '`select` must be a list; write `select = ["ML2"]`'),
        ({"select": {"a": 1}}, "`select` must be a list of strings, not a table"),
        ({"select": []}, "`select` is empty"),
        ({"ignore": ["ML2", 3]}, "`ignore` must hold strings that are not empty, not 3"),
        ({"exclude": [""]}, '`exclude` must hold strings that are not empty, not ""'),
    ],
)
def test_wrong_values_say_file_key_and_remedy(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        from_table(values, config_path="/p/mllint.toml", root="/p")
    assert str(raised.value).startswith("/p/mllint.toml: ")
    assert message in str(raised.value)


def test_flags_win_and_their_paths_start_from_the_current_folder() -> None:
    settings = table(exclude=["x"], extend_exclude=["y"], jobs=2, fix=True)
    flags = Flags(cwd="/p/[s]", exclude=("a/b", "c"), extend_exclude=("/d/e", "f/*"), fix=False, cache_dir="k")
    merged = merge(settings, flags)
    assert merged.exclude == ("/p/[[]s]/a/b", "c")
    assert merged.extend_exclude == ("y", "/d/e", "/p/[[]s]/f/*")
    assert (merged.jobs, merged.fix, merged.cache_dir) == (2, False, "/p/[s]/k")
    with pytest.raises(ConfigError, match="command line: `jobs` must be at least 0"):
        merge(settings, Flags(jobs=-1))


def test_flags_from_table() -> None:
    assert flags_from_table({"fix": True}, where="--config", cwd="/p") == Flags("/p", "--config", fix=True)
    with pytest.raises(ConfigError, match="--config: `extend` works in a configuration file only"):
        flags_from_table({"extend": "a"}, where="--config", cwd="/p")


# -- files -----------------------------------------------------------------------------------------------------


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_closest_configuration_counts_alone(tmp_path: Path) -> None:
    write(tmp_path, "mllint.toml", "jobs = 1\nfix = true\n")
    write(tmp_path, "a/pyproject.toml", "[project]\nname = 'a'\n")  # says nothing of mllint: passed over
    write(tmp_path, "b/pyproject.toml", "[tool.mllint]\njobs = 2\n")
    write(tmp_path, "b/c/mllint.toml", "")
    finder = Finder(str(tmp_path))
    root = tmp_path.as_posix()
    for folder, jobs, at, name in [
        ("", 1, "", "mllint.toml"),
        ("a/deep/er", 1, "", "mllint.toml"),
        ("b", 2, "/b", "pyproject.toml"),
        ("b/c/d", 0, "/b/c", "mllint.toml"),
    ]:
        settings = finder.settings(f"{root}/{folder}".rstrip("/"))
        assert (settings.jobs, settings.root) == (jobs, root + at)
        assert settings.config_path == f"{root}{at}/{name}"
        assert settings.fix is (jobs == 1)


def test_order_of_the_names_in_one_folder(tmp_path: Path) -> None:
    names = {"pyproject.toml": "[tool.mllint]\njobs = 3\n", "mllint.toml": "jobs = 2\n", ".mllint.toml": "jobs = 1\n"}
    for number, (name, text) in enumerate(names.items()):
        write(tmp_path, name, text)
        assert Finder(str(tmp_path)).settings(tmp_path.as_posix()).jobs == 3 - number


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("mllint.toml", b"jobs = 1\nfix = ", "mllint.toml:2:7: not valid TOML: "),
        (".mllint.toml", b"jobs 1", ".mllint.toml:1:6: not valid TOML: "),
        ("pyproject.toml", b"\n[tool.ruff", "pyproject.toml:2:11: not valid TOML: "),
        ("pyproject.toml", b"[tool]\nmllint = 3", "`tool.mllint` must be a table"),
        ("pyproject.toml", b"[tool.mllint]\njosb = 3", "pyproject.toml: unknown key `josb`; did you mean `jobs`?"),
        ("mllint.toml", b"# \xff", "mllint.toml: not UTF-8 at byte 2"),
        ("mllint.toml", b"a = " + b"[" * 5000, "mllint.toml"),
    ],
)
def test_broken_configuration(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        Finder(str(tmp_path)).settings(tmp_path.as_posix())
    assert message in str(raised.value)


def test_configuration_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mllint.toml", "jobs = 1\n")

    def refuse(path: str, *_: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(ConfigError, match=r"mllint.toml: permission denied; make it readable, or pass --isolated"):
        Finder(str(tmp_path)).settings(tmp_path.as_posix())


def test_odd_configuration_names(tmp_path: Path) -> None:
    (tmp_path / "mllint.toml").mkdir()  # a folder is no configuration
    (tmp_path / "pyproject.toml").write_bytes(b"\xef\xbb\xbf[tool.mllint]\r\njobs = 4\r\n")
    assert Finder(str(tmp_path)).settings(tmp_path.as_posix()).jobs == 4
    os.symlink("nowhere", tmp_path / ".mllint.toml")
    with pytest.raises(ConfigError, match="symbolic link to nothing"):
        Finder(str(tmp_path)).settings(tmp_path.as_posix())


def test_config_flag(tmp_path: Path) -> None:
    write(tmp_path, "mllint.toml", "jobs = 1\nfix = true\n")
    write(tmp_path, "ci/other.toml", 'jobs = 5\nexclude = ["a/b"]\ncache-dir = "c"\n')
    cwd, root = str(tmp_path), tmp_path.as_posix()
    given = Finder(cwd, config=["ci/other.toml"]).settings(root + "/x")
    assert (given.jobs, given.fix, given.root, given.config_path) == (5, False, root, root + "/ci/other.toml")
    assert given.cache_dir == root + "/c"
    inline = Finder(cwd, config=["jobs = 7", "select = ['ML2']", "jobs = 8"]).settings(root)
    assert (inline.jobs, inline.fix, inline.layers[-1].select) == (8, True, ("ML2",))
    both = Finder(cwd, Flags(cwd=root, jobs=9), config=["ci/other.toml", "jobs = 7"]).settings(root)
    assert both.jobs == 9
    alone = Finder(cwd, Flags(cwd=root, preview=True), config=["jobs = 7"], isolated=True).settings(root)
    assert (alone.jobs, alone.fix, alone.preview, alone.root) == (7, False, True, "")


@pytest.mark.parametrize(
    ("config", "isolated", "message"),
    [
        (["none.toml"], False, "--config none.toml: no such file"),
        (["bad bad"], False, "--config bad bad: no such file; give a TOML file or a `key = value` pair"),
        (["fix = 1"], False, "--config 'fix = 1': `fix` must be true or false, not 1"),
        (["fix = "], False, "--config 'fix = ':1:"),
        ([""], False, "decides nothing"),
        (["a.toml", "a.toml"], False, "a second configuration file"),
        (["a.toml"], True, "cannot be used with --isolated"),
    ],
)
def test_wrong_config_flag(tmp_path: Path, config: list[str], isolated: bool, message: str) -> None:
    write(tmp_path, "a.toml", "jobs = 1\n")
    with pytest.raises(ConfigError) as raised:
        Finder(str(tmp_path), config=config, isolated=isolated)
    assert message in str(raised.value)


def test_project_root(tmp_path: Path) -> None:
    root = tmp_path.as_posix()
    write(tmp_path, "repo/.git/HEAD", "")
    write(tmp_path, "repo/lib/setup.cfg", "")
    finder = Finder(root, isolated=True)
    for settings, path, wanted in [
        (Settings(), "/repo/a/b.py", "/repo"),
        (Settings(), "/repo/lib/x/b.py", "/repo/lib"),
        (Settings(root=root + "/repo"), "/repo/lib/x/b.py", "/repo"),
        (Settings(root=root + "/re"), "/repo/a/b.py", "/repo"),  # not below that root, only alike
    ]:
        assert project_root(root + path, settings) == root + wanted
        assert finder.project_root(root + path, settings) == root + wanted


def test_each_folder_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mllint.toml", "jobs = 1\n")
    finder = Finder(str(tmp_path))
    folder = tmp_path.as_posix() + "/a/b"
    first = finder.settings(folder)
    monkeypatch.setattr(os.path, "isfile", lambda path: pytest.fail(f"looked again at {path}"))
    assert finder.settings(folder) is finder.settings(tmp_path.as_posix()) is first
    assert finder.enter(folder + "/c", {"x.py"}, first) is first
