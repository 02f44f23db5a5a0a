"""The whole extension API: what a rule is.

A rule is one class in one file. It says in its `Meta` what it finds and which bytes a file must contain for
it to fire at all; its ``visit_*`` methods yield diagnostics. Its docstring is its documentation.

    class FillInBackward(Rule):
        meta = Meta(code="ML201", name="fill-in-backward", ...)

        def visit_Call(self, node, ctx):            # any LibCST node class
            if ctx.name(node.func) == "torch.full_like":
                yield ctx.report(node, "…")

May not: know the engine, hold state, or read anything but what the context answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NoReturn, Union

from mllint.diagnostic import Diagnostic, Safety, Severity
from mllint.record import dataclass

if TYPE_CHECKING:
    from mllint.analysis.context import Context
    from mllint.analysis.index import FileIndex
    from mllint.analysis.kernels.find import Kernel
    from mllint.analysis.project import Project
    from mllint.probe.judge import Judging
    from mllint.probe.trace import Trace
    from mllint.reading.shell import Command

#: A trigger that any byte above 0x7F satisfies.
NON_ASCII = "\x80"

#: Groups of phrases: a file must contain at least one phrase of *every* group. ``()`` lets every file pass.
Triggers = tuple[tuple[str, ...], ...]


#: What an option of a rule may be.
OptionValue = Union[bool, int, float, str, "tuple[str, ...]"]


@dataclass(frozen=True, slots=True)
class Option:
    """Something that a user may decide about a rule: ``[tool.mllint.options.<rule>]``, ``<name> = <value>``.

    ``name`` is in kebab case, ``meaning`` one sentence. A configured value has the type of ``default``.
    """

    name: str
    default: OptionValue
    meaning: str


@dataclass(frozen=True, slots=True)
class Meta:
    """What there is to know about a rule without running it.

    ``fix`` is the greatest safety that a fix of this rule ever has, None where it never has one.
    ``confidence`` is what a reader of the finding should expect: ``high`` is nearly always right.
    ``project`` says that the rule asks `ctx.project` about other files while it visits this one;
    ``project_triggers`` are what a file must contain for the rule to fire in it *because of* other files, where
    its own ``triggers`` would not wake it (see `Rule.reached`). ``options`` are what a user may decide; a visit asks
    `Context.option`. ``observed`` is the level of the runtime half, where a rule has both halves and they differ:
    what a real step has shown weighs more than what the text suggests. ``confirmed_by`` are the codes of other rules
    whose runtime halves confirm or clear what this one suspects in the text.
    """

    code: str
    name: str
    severity: Severity
    since: str
    triggers: Triggers = ()
    confidence: str = "high"
    fix: Safety | None = None
    project: bool = False
    project_triggers: Triggers = ()
    options: tuple[Option, ...] = ()
    observed: Severity | None = None
    confirmed_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WithheldMeta(Meta):
    """As much of the meta of a rule that may not run as its file's text shows (checking/withheld.py)."""


class Rule:
    """Base of all rules. Subclasses set ``meta`` and define ``visit_<LibCST node class>(node, ctx)``,
    ``visit_command(command, ctx)`` or ``visit_kernel(kernel, ctx)``, or for the probe ``judge(trace, ctx)``; each yields
    diagnostics.

    `narrow` saves work before a file is parsed losslessly; it may only err towards True. A rule with
    ``meta.project`` asks ``ctx.project`` last: in the first look at a file the first question ends the rule's turn,
    and it is run again, from the start, when the project can be asked.
    """

    meta: ClassVar[Meta]

    def narrow(self, index: FileIndex) -> bool:
        """Could the rule fire in a file with this index? Asked before the lossless tree is parsed."""
        return True

    def reached(self, project: Project) -> frozenset[str]:
        """Files of a project (absolute paths) in which the rule may fire because of other files.

        Asked once for each project; only files that also satisfy ``meta.project_triggers`` are then visited.
        """
        return frozenset()

    def visit_file(self, ctx: Context) -> Iterator[Diagnostic]:
        """Called once for each Python file, with its index and ``ctx.syntax`` (its ``ast``) but no lossless tree, which
        costs ten times as much to parse."""
        return iter(())

    def visit_command(self, command: Command, ctx: Context) -> Iterator[Diagnostic]:
        """Called for each shell command, from a script or from a Python string alike."""
        return iter(())

    def visit_kernel(self, kernel: Kernel, ctx: Context) -> Iterator[Diagnostic]:
        """Called for each kernel source, from a file or from a Python string alike."""
        return iter(())

    def judge(self, trace: Trace, ctx: Judging) -> Iterator[Diagnostic]:
        """The runtime half: what a trace of real training steps shows. Pure: a stored trace gives the same findings."""
        return iter(())

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"rule {type(self).__name__} cannot be pickled: rules never cross a process boundary, workers load their own"
        )


def reads_code(rule: Rule) -> bool:
    """Has the rule a static half, one that looks at code?"""
    return bool(visited_nodes(rule)) or reads_files(rule) or reads_commands(rule) or reads_kernels(rule)


def reported_by(rule: Rule) -> tuple[str, ...]:
    """The commands that report the rule: one for each half. What the engine itself reports is of ``check``."""
    halves = {"check": reads_code(rule), "probe": reads_traces(rule)}
    return tuple(command for command, there in halves.items() if there) or ("check",)


def summary(rule: Rule) -> str:
    """The first line of the rule's page: what is wrong, in one sentence."""
    return (type(rule).__doc__ or "").strip().partition("\n")[0]


def visited_nodes(rule: Rule) -> tuple[str, ...]:
    """Names of the LibCST node classes that the rule's ``visit_*`` methods ask for."""
    return tuple(
        name[len("visit_") :] for name in dir(type(rule)) if name.startswith("visit_") and name[len("visit_")].isupper()
    )


def reads_files(rule: Rule) -> bool:
    """Does the rule look at whole Python files through their index?"""
    return type(rule).visit_file is not Rule.visit_file


def reads_commands(rule: Rule) -> bool:
    """Does the rule look at shell commands?"""
    return type(rule).visit_command is not Rule.visit_command


def reads_kernels(rule: Rule) -> bool:
    """Does the rule look at kernel sources?"""
    return type(rule).visit_kernel is not Rule.visit_kernel


def reads_traces(rule: Rule) -> bool:
    """Has the rule a runtime half?"""
    return type(rule).judge is not Rule.judge


__all__ = [
    "NON_ASCII",
    "Diagnostic",
    "Meta",
    "Option",
    "OptionValue",
    "Rule",
    "Safety",
    "Severity",
    "Triggers",
    "reads_code",
    "reads_commands",
    "reads_files",
    "reads_kernels",
    "reads_traces",
    "reported_by",
    "summary",
    "visited_nodes",
]
