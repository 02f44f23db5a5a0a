"""Which rules are on where, and which of their fixes may be made: layers, files, safeties; each row was tried with ruff."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection, UnknownSelector, selection
from mllint.diagnostic import Edit, Fix, Safety, Severity
from mllint.reading.config import Finder
from mllint.rule import Meta
from mllint.settings import ConfigError, Flags, Settings, from_table, merge

METAS = [
    Meta(code=code, name=name, severity=Severity.ERROR, since="0.1.0")
    for code, name in [("ML201", "first"), ("ML202", "second"), ("ML301", "third")]
]
ALL = {"ML201", "ML202", "ML301"}


def chosen(file: dict[str, object], **flags: Any) -> Selection:
    settings = from_table(file, config_path="/p/mllint.toml", root="/p")
    return selection(merge(settings, Flags(cwd="/p", **flags)), METAS)


@pytest.mark.parametrize(
    ("file", "flags", "on"),
    [
        ({}, {}, ALL),
        ({"ignore": ["ML201"]}, {"select": ("ML2",)}, {"ML201", "ML202"}),
        ({"select": ["ML2"]}, {"ignore": ("ML201",)}, {"ML202"}),
        ({"select": ["ML201"]}, {"ignore": ("ML2",)}, set()),
        ({"ignore": ["ML201", "ML3"]}, {"extend_select": ("ML2",)}, {"ML201", "ML202"}),
        ({"ignore": ["ML201"]}, {"extend_select": ("first",)}, ALL),
        ({"select": ["ML3"], "extend-select": ["ML201"]}, {"extend_select": ("ML202",)}, ALL),
        ({"select": ["ML3"], "extend-select": ["ML201"]}, {"select": ("ML202",)}, {"ML202"}),
        ({"select": ["ML2"], "ignore": ["ML2"]}, {}, set()),
        ({"select": ["ML201"], "ignore": ["ML2"]}, {}, {"ML201"}),
        ({"select": ["gradients"], "ignore": ["second"]}, {}, {"ML201"}),
    ],
)
def test_selection_works_in_layers(file: dict[str, object], flags: dict[str, Any], on: set[str]) -> None:
    assert chosen(file, **flags).codes == on


@pytest.mark.parametrize(
    ("file", "flags", "unfixable"),
    [
        ({}, {}, set()),
        ({"fixable": []}, {}, ALL),
        ({"fixable": ["ML2"]}, {}, {"ML301"}),
        ({"fixable": ["ML2"], "extend-fixable": ["ML301"]}, {}, set()),
        ({"unfixable": ["ML2"]}, {}, {"ML201", "ML202"}),
        ({"fixable": ["ML201"], "unfixable": ["ML2"]}, {}, {"ML202", "ML301"}),
        ({"unfixable": ["ML2"]}, {"fixable": ("ALL",)}, set()),
        ({"unfixable": ["ML2"]}, {"extend_fixable": ("ML201",)}, {"ML202"}),
        ({"fixable": ["ML2"]}, {"unfixable": ("ML201",)}, {"ML201", "ML301"}),
    ],
)
def test_fixable_works_in_the_same_layers(file: dict[str, object], flags: dict[str, Any], unfixable: set[str]) -> None:
    assert chosen(file, **flags).unfixable == unfixable
    assert chosen(file, **flags).codes == ALL


FIX = {safety: Fix("Change it", (Edit(0, 1, "x"),), safety) for safety in Safety}


@pytest.mark.parametrize(
    ("file", "flags", "before", "after"),
    [
        ({"extend-safe-fixes": ["ML201"]}, {}, "unsafe", "safe"),
        ({"extend-safe-fixes": ["ML201"]}, {}, "display", "display"),
        ({"extend-unsafe-fixes": ["ML201"]}, {}, "safe", "unsafe"),
        ({"extend-unsafe-fixes": ["ML201"]}, {}, "display", "display"),
        ({"extend-safe-fixes": ["ML2"], "extend-unsafe-fixes": ["ML201"]}, {}, "safe", "unsafe"),
        ({"extend-safe-fixes": ["ML201"], "extend-unsafe-fixes": ["ML2"]}, {}, "unsafe", "safe"),
        ({"extend-safe-fixes": ["ML201"], "extend-unsafe-fixes": ["ML201"]}, {}, "safe", "unsafe"),
        ({"extend-safe-fixes": ["ML3"]}, {"extend_safe_fixes": ("first",)}, "unsafe", "safe"),
        ({"extend-safe-fixes": ["ML3"]}, {}, "unsafe", "unsafe"),
        ({"unfixable": ["ML201"], "extend-safe-fixes": ["ML201"]}, {}, "unsafe", None),
        ({"unfixable": ["ML201"]}, {}, "display", None),
    ],
)
def test_what_becomes_of_a_fix(file: dict[str, object], flags: dict[str, Any], before: str, after: str | None) -> None:
    allowed = RuleSet((), chosen(file, **flags)).allowed("ML201", FIX[Safety(before)])
    assert (allowed and allowed.safety.value) == after


@pytest.mark.parametrize(
    ("patterns", "off"),
    [
        ({"a.py": ["ML2"]}, {"/p/a.py", "/p/sub/a.py"}),
        ({"./a.py": ["ML2"]}, {"/p/a.py"}),
        ({"sub": ["ML2"]}, set()),  # a file is meant, never a folder
        ({"sub/*": ["ML2"]}, {"/p/sub/a.py", "/p/sub/b.py"}),
        ({"sub/**": ["ML2"]}, {"/p/sub/a.py", "/p/sub/b.py"}),
        ({"s*.py": ["ML2"]}, {"/p/sub/a.py", "/p/sub/b.py"}),  # a star crosses slashes
        ({"!sub/*": ["ML2"]}, {"/p/a.py"}),
        ({"!a.py": ["ML2"]}, {"/p/sub/b.py"}),
        ({"{sub,other}/b.py": ["ML2"]}, {"/p/sub/b.py"}),
        ({"/p/sub/a.py": ["gradients"]}, {"/p/sub/a.py"}),
        ({"a.py": ["ML3"]}, set()),
        ({"a.py": ["ML201"], "sub/*": ["ML202"]}, {"/p/sub/a.py"}),  # each file has what all patterns say
    ],
)
def test_per_file_ignores(patterns: dict[str, list[str]], off: set[str]) -> None:
    files = ["/p/a.py", "/p/sub/a.py", "/p/sub/b.py"]
    found = chosen({"per-file-ignores": patterns})
    assert {file for file in files if {"ML201", "ML202"} <= found.off(file)} == off
    more = chosen({"extend-per-file-ignores": patterns}, per_file_ignores=(("none.py", ("ALL",)),))
    assert {file for file in files if {"ML201", "ML202"} <= more.off(file)} == off
    assert not any(chosen({"per-file-ignores": patterns}, per_file_ignores=()).off(file) for file in files)


def test_patterns_of_the_command_line_start_from_the_current_folder() -> None:
    settings = from_table({}, config_path="/p/mllint.toml", root="/p")
    flags = Flags(cwd="/p/sub", per_file_ignores=(("x/a.py", ("ML2",)), ("!x/*", ("ML3",))))
    found = selection(merge(settings, flags), METAS)
    assert [len(found.off(file)) for file in ("/p/sub/x/a.py", "/p/x/a.py", "/p/sub/x/b.py")] == [2, 1, 0]


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ({"fixable": ["ML9"]}, "/p/mllint.toml: unknown rule selector `ML9` in `fixable`; did you mean "),
        ({"extend-safe-fixes": ["x"]}, "/p/mllint.toml: unknown rule selector `x` in `extend-safe-fixes`;"),
        ({"per-file-ignores": {"a": ["ML9"]}}, "/p/mllint.toml: unknown rule selector `ML9` in `per-file-ignores`;"),
        ({"per-file-ignores": {"a[": ["ML2"]}}, "/p/mllint.toml: pattern `a[` of `per-file-ignores` is not valid: "),
        ({"per-file-ignores": {"!": ["ML2"]}}, "/p/mllint.toml: `per-file-ignores` has an empty pattern"),
        ({"per-file-ignores": {"a": "ML2"}}, '/p/mllint.toml: `per-file-ignores."a"` must be a list; write '),
        ({"per-file-ignores": ["a:ML2"]}, "/p/mllint.toml: `per-file-ignores` must be a table; write `"),
    ],
)
def test_what_cannot_be(file: dict[str, object], message: str) -> None:
    with pytest.raises((UnknownSelector, ConfigError)) as raised:
        chosen(file)
    assert str(raised.value).startswith(message)


def test_a_wrong_flag_is_not_blamed_on_a_file() -> None:
    with pytest.raises(UnknownSelector) as raised:
        chosen({"select": ["ML2"]}, ignore=("ML9",))
    assert str(raised.value).startswith("unknown rule selector `ML9`;")


def test_equal_selections_have_equal_signatures() -> None:
    one, other = chosen({"select": ["ML2", "ML3"]}), chosen({"select": ["ML3", "ML2"]})
    assert one.signature == other.signature
    different = [
        chosen({"ignore": ["ML3"]}),
        chosen({"unfixable": ["ML3"]}),
        chosen({"extend-safe-fixes": ["ML3"]}),
        chosen({"extend-unsafe-fixes": ["ML3"]}),
        chosen({"per-file-ignores": {"a": ["ML3"]}}),
        chosen({"preview": True}),
    ]
    assert len({found.signature for found in (one, *different)}) == 1 + len(different)


# -- extend ----------------------------------------------------------------------------------------------------


def write(folder: Path, files: dict[str, str]) -> Finder:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Finder(str(folder))


def settings_of(folder: Path, files: dict[str, str]) -> Settings:
    return write(folder, files).settings(f"{folder.as_posix()}/app")


def test_each_key_is_inherited_by_itself(tmp_path: Path) -> None:
    found = settings_of(
        tmp_path,
        {
            "shared/base.toml": 'jobs = 3\nfail-on = "error"\nextend-exclude = ["gen/x"]\ncache-dir = "c"\n'
            'exclude = ["a/b", "bare"]\nignore = ["ML201"]\nper-file-ignores = { "t/*" = ["ML2"], "!u/v" = ["ML3"] }\n',
            "app/mllint.toml": 'extend = "../shared/base.toml"\njobs = 4\nextend-exclude = ["own/y"]\n'
            'extend-select = ["ML2"]\n',
        },
    )
    root = tmp_path.as_posix()
    assert (found.root, found.config_path) == (f"{root}/app", f"{root}/app/mllint.toml")
    assert found.extend == f"{root}/shared/base.toml"
    assert (found.jobs, found.fail_on, found.cache_dir) == (4, "error", f"{root}/shared/c")
    # patterns start from the file that they stand in
    assert found.extend_exclude == (f"{root}/shared/gen/x", "own/y")
    assert found.exclude == (f"{root}/shared/a/b", "bare")
    assert found.per_file_ignores == ((f"{root}/shared/t/*", ("ML2",)), (f"!{root}/shared/u/v", ("ML3",)))
    origins = dict(found.origins)
    assert (origins["jobs"], origins["fail_on"]) == (f"{root}/app/mllint.toml", f"{root}/shared/base.toml")
    assert origins["extend_exclude"] == f"{root}/shared/base.toml, {root}/app/mllint.toml"
    assert selection(found, METAS).codes == ALL, "the later layer's `extend-select` wins over the earlier `ignore`"


def test_a_chain_of_files(tmp_path: Path) -> None:
    found = settings_of(
        tmp_path,
        {
            "one.toml": "jobs = 1\nfix = true\nmax-file-size = 1\n",
            "two.toml": 'extend = "one.toml"\njobs = 2\nfix = false\n',
            "app/pyproject.toml": '[tool.mllint]\nextend = "../two.toml"\njobs = 3\n',
        },
    )
    assert (found.jobs, found.fix, found.max_file_size) == (3, False, 1)
    assert found.extend == f"{tmp_path.as_posix()}/two.toml"


def test_a_pyproject_that_says_nothing_adds_nothing(tmp_path: Path) -> None:
    files = {"pyproject.toml": "[project]\nname = 'x'\n", "app/mllint.toml": 'extend = "../pyproject.toml"\njobs = 2\n'}
    assert settings_of(tmp_path, files).jobs == 2


def test_home_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("SHARED", str(tmp_path))
    for written in ("~/base.toml", "$SHARED/base.toml", "${SHARED}/base.toml", "../base.toml"):
        files = {"base.toml": "jobs = 7\n", "app/mllint.toml": f'extend = "{written}"\n'}
        assert settings_of(tmp_path, files).jobs == 7


def test_a_given_configuration_extends_too(tmp_path: Path) -> None:
    write(tmp_path, {"ci/base.toml": 'exclude = ["a/b"]\n', "ci/main.toml": 'extend = "base.toml"\njobs = 2\n'})
    found = Finder(str(tmp_path), config=["ci/main.toml"]).settings(tmp_path.as_posix())
    root = tmp_path.as_posix()
    assert (found.jobs, found.root, found.exclude) == (2, root, (f"{root}/a/b",))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"app/mllint.toml": 'extend = "no.toml"'}, "mllint.toml: `extend` names `{root}/app/no.toml`, which does not"),
        ({"app/mllint.toml": 'extend = ""'}, "mllint.toml: `extend` names `{root}/app`, which is a folder"),
        ({"app/mllint.toml": "extend = 3"}, "mllint.toml: `extend` must be a string, not 3"),
        (
            {"app/mllint.toml": 'extend = "mllint.toml"'},
            "goes round in a circle: `{root}/app/mllint.toml` extends `{root}/app/mllint.toml`",
        ),
        (
            {
                "app/mllint.toml": 'extend = "a.toml"',
                "app/a.toml": 'extend = "b.toml"',
                "app/b.toml": 'extend="a.toml"',
            },
            "{root}/app/b.toml: `extend` goes round in a circle: `{root}/app/mllint.toml` extends `{root}/app/a.toml`"
            " extends `{root}/app/b.toml` extends `{root}/app/a.toml`",
        ),
        ({"app/mllint.toml": 'extend = "a.toml"', "app/a.toml": "josb = 1"}, "a.toml: unknown key `josb`;"),
        ({"app/mllint.toml": 'extend = "a.toml"', "app/a.toml": "jobs = "}, "a.toml:1:"),
    ],
)
def test_an_extend_that_cannot_be_followed(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        settings_of(tmp_path, files)
    assert message.format(root=tmp_path.as_posix()) in str(raised.value)


def test_a_wrong_selector_names_the_file_that_has_it(tmp_path: Path) -> None:
    found = settings_of(tmp_path, {"base.toml": 'ignore = ["ML9"]\n', "app/mllint.toml": 'extend = "../base.toml"\n'})
    with pytest.raises(UnknownSelector) as raised:
        selection(found, METAS)
    assert str(raised.value).startswith(f"{tmp_path.as_posix()}/base.toml: unknown rule selector `ML9`;")
