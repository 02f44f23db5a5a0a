"""What each key of the configuration means, for `mllint config` and the documents.

May not: name a key that there is not, or leave one out (a test holds both).
"""

from __future__ import annotations

#: Key -> its meaning in a sentence or two (Markdown), and an example of a value ("" where the type says it all).
MEANINGS: dict[str, tuple[str, str]] = {
    "select": (
        "The rules to check: codes, prefixes, families or names; without it all errors and warnings.",
        '["ML5"]',
    ),
    "extend-select": ("Rules to check besides those that are selected.", '["ML501"]'),
    "ignore": ("Rules to leave out; the more specific selector wins.", '["duplicate-definition"]'),
    "fixable": ("The rules whose fixes may be applied; without it all of them.", '["ML3"]'),
    "extend-fixable": ("Rules whose fixes may be applied, besides `fixable`.", '["ML001"]'),
    "unfixable": ("Rules whose fixes are neither applied nor shown.", '["ML501"]'),
    "extend": ("Another configuration file to build on: its keys hold where this one is silent.", '"../a.toml"'),
    "preview": ("Let any selector switch on rules of level info, and report findings of that level.", ""),
    "per-file-ignores": ("Rules to leave out in the files of a pattern.", '{ "tests/*" = ["ML5"] }'),
    "extend-per-file-ignores": ("The same, on top of `per-file-ignores`.", '{ "!src/**" = ["ML5"] }'),
    "extend-safe-fixes": ("Rules whose unsafe fixes count as safe; never those that are only shown.", '["ML201"]'),
    "extend-unsafe-fixes": ("Rules whose safe fixes count as unsafe.", '["ML001"]'),
    "rules": ("Folders or files with rules of your own.", '["./lint"]'),
    "allow-packs": (
        "Folders of projects whose own rules may run. Counts in your own configuration only, "
        "`mllint/mllint.toml` in the folder that the system has for such files (`~/.config` on Linux).",
        '["~/work"]',
    ),
    "options": ("Options of single rules, in a table for each rule.", '{ "rule-name" = { depth = 3 } }'),
    "probe": ("What `mllint probe` runs and how, in a table of its own.", '{ target = "train.py", steps = 5 }'),
    "baseline": (
        "A file of known findings, which are neither shown nor fixed and fail no run.",
        '".mllint-baseline.json"',
    ),
    "fail-on": ("The least level of a finding that makes the exit code 1.", '"error"'),
    "exclude": ("Paths that are never walked into; replaces the default list.", '["build"]'),
    "extend-exclude": ("Paths to leave out besides those of `exclude`.", '["third_party"]'),
    "force-exclude": ("Leave out excluded files even where the command line names them.", ""),
    "respect-gitignore": ("Leave out what git ignores.", ""),
    "output-format": ("How findings are printed.", '"concise"'),
    "fix": ("Apply fixes; `--no-fix` overrides it.", ""),
    "unsafe-fixes": ("Apply unsafe fixes like safe ones.", ""),
    "show-fixes": ("List the fixes that were applied.", ""),
    "max-file-size": ("Larger files, in bytes, are not read.", "1000000"),
    "jobs": ("Processes to work in; 0 chooses by itself.", "4"),
    "cache": ("Remember the results of unchanged files.", ""),
    "cache-dir": ("Where they are remembered; `.mllint_cache` in the project's root by itself.", '".cache/mllint"'),
}
