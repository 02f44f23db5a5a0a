"""What a call does to the process, to files, or to the time an import takes: seeds, defaults, deletions, data, training.

May not: say whether it may do so; the rule knows where the call stands.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from mllint.analysis.names import dotted_name
from mllint.analysis.project import Project
from mllint.analysis.startup.sites import Site, called, running

_KERAS = r"(keras|tensorflow\.keras|tf_keras)"

_SEEDS = re.compile(
    r"random\.seed|numpy\.random\.seed|torch\.(random\.)?manual_seed|torch\.cuda\.(random\.)?manual_seed(_all)?|torch\.seed"
    r"|tensorflow\.random\.set_seed|tensorflow\.(compat\.v1\.)?set_random_seed|cupy\.random\.seed|mxnet\.random\.seed"
    rf"|{_KERAS}\.utils\.set_random_seed|transformers\.(trainer_utils\.)?set_seed|accelerate\.utils\.set_seed"
    r"|(pytorch_lightning|lightning|lightning\.pytorch|lightning\.fabric|lightning_fabric)\.(utilities\.seed\.)?seed_everything"
)
_DEFAULTS = re.compile(rf"torch\.set_default_(dtype|device|tensor_type)|{_KERAS}\.(backend|config)\.set_floatx")
_SESSIONS = re.compile(rf"{_KERAS}\.(backend|utils)\.clear_session|tensorflow\.(compat\.v1\.)?reset_default_graph")
_DELETIONS = re.compile(r"os\.(remove|unlink|rmdir|removedirs)|shutil\.rmtree")
_LOADS = re.compile(
    r"numpy\.(load|loadtxt|genfromtxt)|torch\.load|pandas\.read_(csv|parquet|pickle|excel|hdf|feather|table|json)"
    rf"|{_KERAS}\.datasets\.\w+\.load_data|polars\.read_\w+|sklearn\.datasets\.fetch_\w+"
    r"|joblib\.load|datasets\.load_dataset|safetensors\.torch\.load_file"
)

#: Classes whose objects train, by the end of their dotted name.
_TRAINERS = re.compile(
    r"(pytorch_lightning|lightning|lightning\.pytorch|transformers|trl)\.(\w+\.)*\w*Trainer|ultralytics\.YOLO"
)
_LEARNERS = re.compile(r"(sklearn|xgboost|lightgbm|catboost)\.(\w+\.)*([A-Z]\w+|make_pipeline)")

SEEDS = "seeds the random numbers of the whole process"


def effect(call: ast.Call, site: Site, values: Mapping[str, ast.expr]) -> str:
    """What a call does that outlives it, as the rest of "at import, this …"; "" for nothing of the kind.

    ``values`` are what the module's names were given.
    """
    dotted = site.dotted(call.func)
    if _SEEDS.fullmatch(dotted):
        return SEEDS
    if _DEFAULTS.fullmatch(dotted):
        return "changes a default of the whole process"
    if _SESSIONS.fullmatch(dotted):
        return "clears the session of the whole process"
    if _DELETIONS.fullmatch(dotted) or _is_path_unlink(call, site, values):
        return "deletes files"
    if _LOADS.fullmatch(dotted) and not _beside_module(call, site, values):
        return "loads data"
    return ""


def learner(call: ast.Call, site: Site, values: Mapping[str, ast.expr]) -> tuple[ast.Call, bool] | None:
    """What made the object that a call fits, compiles or trains, and whether that is a learner or trainer of a library;
    None where it is no such call. A torch module's ``train()`` only sets a mode and counts for nothing."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("fit", "compile", "train"):
        return None
    maker = _made_by(call.func.value, values)
    if not isinstance(maker, ast.Call):
        return None
    dotted = site.dotted(maker.func)
    known = bool(_TRAINERS.fullmatch(dotted) or _LEARNERS.fullmatch(dotted))
    return (maker, known) if known or call.func.attr != "train" else None


def seeding_helper(call: ast.Call, site: Site, project: Project) -> str:
    """What a helper of the project does that a call calls, where it is named after seeding and does seed; else ""."""
    function, there = called(call, site, project) or (None, site)
    if function is None or isinstance(function, ast.ClassDef):
        return ""
    inside = there.within(function)
    for node in running(function.body):
        if isinstance(node, ast.Call) and _SEEDS.fullmatch(inside.dotted(node.func)):
            return SEEDS
    return ""


def may_seed(call: ast.Call, site: Site) -> bool:
    """Is a called name, that no library's own, named after seeding?"""
    dotted = site.dotted(call.func)
    return "seed" in dotted.rpartition(".")[2].lower() and not _SEEDS.fullmatch(dotted)


def _made_by(node: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """What the module gave a name, through other names."""
    for _ in range(len(values)):
        if not isinstance(node, ast.Name) or node.id not in values:
            break
        node = values[node.id]
    return node


def _is_path_unlink(call: ast.Call, site: Site, values: Mapping[str, ast.expr]) -> bool:
    """``Path(…).unlink()``"""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in ("unlink", "rmdir"):
        return False
    owner = _made_by(call.func.value, values)
    while isinstance(owner, ast.BinOp):
        owner = _made_by(owner.left, values)
    return isinstance(owner, ast.Call) and site.dotted(owner.func) == "pathlib.Path"


def _beside_module(call: ast.Call, site: Site, values: Mapping[str, ast.expr]) -> bool:
    """Is what is loaded a file that belongs to the module: its path made from ``__file__`` or package resources?"""
    pending: list[ast.AST] = [call]
    seen: set[str] = set()
    while pending:
        for node in ast.walk(pending.pop()):
            name = dotted_name(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""
            if name == "__file__" or site.index.dotted(name).startswith(("importlib.resources", "pkg_resources")):
                return True
            if name in values and name not in seen:
                seen.add(name)
                pending.append(values[name])
    return False


__all__ = ["SEEDS", "effect", "learner", "may_seed", "seeding_helper"]
