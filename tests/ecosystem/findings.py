"""What the rules find on the pinned packages, as lines that can be compared and judged.

``python tests/ecosystem/findings.py`` prints new and lost findings against ``findings.tsv``;
``--bless`` rewrites it: verdicts of known findings are kept, new ones get ``unread``, which the test refuses.
``--lot 30`` draws findings for a second reader.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from fetch import Package, fetch, packages

GOLDEN = Path(__file__).parent / "findings.tsv"
COLUMNS = ("package", "path", "row", "code", "verdict", "reason", "message")
VERDICTS = ("true", "false", "arguable")
UNREAD = "unread"
_LOT_SEED = 20261121


@dataclass(frozen=True)
class Finding:
    """One finding and what a reader of the source says about it."""

    package: str
    path: str
    row: int
    code: str
    message: str
    verdict: str = UNREAD
    reason: str = ""

    @property
    def key(self) -> tuple[str, str, int, str]:
        """What makes it the same finding in two runs."""
        return (self.package, self.path, self.row, self.code)


def check_package(package: Package) -> list[Finding]:
    """Run the default rules over one package as a user would, its folder being the root of the project."""
    folder = fetch(package)
    (folder / "mllint.toml").write_text("")  # makes the folder a configuration root
    command = [sys.executable, "-m", "mllint", "check", "--no-cache", "--exit-zero", "--output-format", "json", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{package.label}: exit code {done.returncode}\n{done.stderr}")
    return [
        Finding(
            package.label,
            Path(row["filename"]).relative_to(folder.resolve()).as_posix(),
            row["location"]["row"],
            row["code"],
            row["message"],
        )
        for row in json.loads(done.stdout)
    ]


def golden() -> list[Finding]:
    """The findings as last blessed and judged."""
    with GOLDEN.open(newline="", encoding="utf-8") as file:
        return [
            Finding(**{**row, "row": int(row["row"])})  # type: ignore[arg-type]
            for row in csv.DictReader(file, delimiter="\t")
        ]


def write(findings: list[Finding]) -> None:
    """Rewrite the golden list in order."""
    with GOLDEN.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
        table.writeheader()
        for found in sorted(findings, key=lambda found: found.key):
            table.writerow({column: getattr(found, column) for column in COLUMNS})


def compare(now: list[Finding], before: list[Finding]) -> tuple[list[Finding], list[Finding]]:
    """New findings and lost ones."""
    known = {found.key: found for found in before}
    seen = {found.key for found in now}
    return [found for found in now if found.key not in known], [found for found in before if found.key not in seen]


def main() -> None:
    """Print the difference; bless it when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bless", action="store_true", help="rewrite findings.tsv, keeping verdicts")
    parser.add_argument("--lot", type=int, default=0, help="draw this many findings for a second reader")
    options = parser.parse_args()
    before = golden() if GOLDEN.is_file() else []
    if options.lot:
        for found in random.Random(_LOT_SEED).sample(sorted(before, key=lambda found: found.key), options.lot):
            print(*found.key, sep="\t")
        return
    now = [found for package in packages() for found in check_package(package)]
    new, lost = compare(now, before)
    for sign, rows in (("+", new), ("-", lost)):
        for found in rows:
            print(sign, *found.key, found.message, sep="\t")
    print(f"{len(now)} findings, {len(new)} new, {len(lost)} lost")
    if options.bless:
        known = {found.key: found for found in before}
        write(
            [
                replace(found, verdict=known[found.key].verdict, reason=known[found.key].reason)
                if found.key in known
                else found
                for found in now
            ]
        )


if __name__ == "__main__":
    main()
