"""What a silent handler puts in the place of what failed, where that is known to matter in training code.

May not: judge by the breadth of a handler alone; what is none of these kinds is left alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Literal

from mllint.analysis.fallbacks.handlers import callee, calls, nodes
from mllint.analysis.syntax import Syntax

Kind = Literal["sample", "skipped", "weights", "metric", "blank", "empty", "kernel", "module"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LOOPS = (ast.For, ast.AsyncFor)

#: Functions that read a picture, a recording, a table or an array: samples, wherever they stand.
_READS_SAMPLES = re.compile(
    r"(^|\.)(Image\.open|cv2\.(imread|imdecode)|(np|numpy)\.(loadtxt|fromfile|genfromtxt)|(pd|pandas|pl)\.read_\w+|"
    r"torchaudio\.load|(sf|soundfile)\.read|librosa\.load|h5py\.File|imageio\.\w*imread|VideoReader|read_image|"
    r"read_video|wavfile\.read|nib\.load|load_(image|audio|video|wav)|read_audio)$"
)

#: Functions that read anything: samples only where names around them say so.
_READS = re.compile(
    r"(^|\.)(json\.loads?|orjson\.loads|pickle\.loads?|(np|numpy|torch)\.load|load_dataset|open|load_file)$"
)

_SAMPLES = re.compile(
    r"sample|example|dataset|data\b|data_|image|img|audio|video|wav|clip|caption|annot|label|record|row|line|utter|"
    r"corpus|shard|sentence|trajector|episode|transcript|features",
    re.IGNORECASE,
)
_NO_SAMPLES = re.compile(
    r"config|cfg|cache|meta|manifest|repo|model|process(es)?\b|pid|device|gpu|package|plugin|setting|status|stream|response|"
    r"chunk|version|job|checkpoint|ckpt|lora|weight|\blog|event|sse|state|token|adapter|module|history|index|payload|"
    r"template|request|notebook|subprocess|info",
    re.IGNORECASE,
)

_SAMPLE_METHODS = frozenset({"__getitem__", "__getitems__", "__next__", "__iter__"})
_DATASET = re.compile(r"dataset|loader|sampler|reader|datamodule|datapipe|\bdata\b", re.IGNORECASE)

_WEIGHTS = re.compile(
    r"(^|\.)(load_state_dict|load_weights|load_checkpoint|load_ckpt|restore_checkpoint|load_model_weights|init_from_ckpt)$"
)
_SCORES = re.compile(
    r"(^|_)(scores?|metrics?|accuracy|acc|f1|auc|auroc|bleu|rouge\w?|wer|cer|ssim|psnr|iou)"
    r"(_|$)",
    re.IGNORECASE,
)
_BLANK = re.compile(r"^(torch|np|numpy|th|tf|jnp)\.(zeros|zeros_like|empty|empty_like|ones|ones_like|full|full_like)$")
_KERNEL = re.compile(
    r"triton|flash|cuda|fused|kernel|sdpa|attention|xformers|apex|cudnn|fp8|int8|dequant|liger|cutlass|matmul|gemm|"
    r"layer_?norm|rms_?norm",
    re.IGNORECASE,
)
_PROBES = re.compile(
    r"^_*(is|has|can|supports?|check|probe|detect|available|close|del|exit|cleanup|shutdown|stop|kill|repr|str|format|"
    r"print|log|show|plot|draw|bench\w*|profile|version|get_version|test|find|guess|infer|resolve|verify|validate)(_|$)|_available$|_supported$|"
    r"__(del|exit|repr|str|aexit)__"
)


def kind_of(tried: ast.Try, handler: ast.ExceptHandler, syntax: Syntax, name: Callable[[ast.expr], str]) -> Kind | None:
    """What a silent handler does; None where it is not known to matter."""
    function = syntax.function(tried)
    if function is not None and _PROBES.search(function.name):
        return None
    last = handler.body[-1]
    if _replaces_own_module(tried, handler):
        return "module" if function is None else None
    if function is None and not _loop(tried, syntax):
        return None
    if _is_sample_method(function, tried, syntax):
        return "sample" if _goes_on(last, name) else None
    if _skips(tried, handler, function, syntax):
        return "skipped"
    if _only_passes(handler) and any(_WEIGHTS.search(callee(call)) for call in calls(tried.body)):
        return "weights"
    value = last.value if isinstance(last, (ast.Return, ast.Assign)) else None
    if _is_number(value) and any(calls(tried.body)) and (_is_score(last, function) or _is_scored(tried, last)):
        return "metric"
    if isinstance(value, ast.Call) and _BLANK.search(name(value.func)):
        return "blank"
    if _is_empty(value) and isinstance(last, ast.Return) and _gives_samples(function, tried):
        return "empty"
    return "kernel" if _switches(tried, handler, syntax) else None


def _loop(node: ast.AST, syntax: Syntax) -> ast.For | ast.AsyncFor | None:
    """The loop that an exception in ``node`` would otherwise end, of the same function."""
    for above in syntax.ancestors(node):
        if isinstance(above, _LOOPS):
            return above
        if isinstance(above, (*_FUNCTIONS, ast.ClassDef, ast.While)):
            return None
    return None


def _only_passes(handler: ast.ExceptHandler) -> bool:
    return all(isinstance(each, (ast.Pass, ast.Continue)) for each in handler.body)


def _goes_on(last: ast.stmt, name: Callable[[ast.expr], str]) -> bool:
    """Does a handler end by giving something else, or by going on? Another way to compute the same is neither."""
    if isinstance(last, ast.Return):
        return not (isinstance(last.value, ast.Constant) and isinstance(last.value.value, bool))
    if isinstance(last, ast.Assign):
        value = last.value
        blank = isinstance(value, ast.Call) and bool(_BLANK.search(name(value.func)))
        return blank or _is_empty(value) or (isinstance(value, ast.Constant) and not isinstance(value.value, bool))
    return isinstance(last, (ast.Pass, ast.Continue))


def _is_sample_method(function: ast.FunctionDef | ast.AsyncFunctionDef | None, tried: ast.Try, syntax: Syntax) -> bool:
    """Does a ``try`` stand where a dataset makes a sample or a batch?"""
    if function is None:
        return False
    if function.name in ("collate", "collate_fn") or function.name.endswith("_collate_fn"):
        return any(calls(tried.body))
    owner = syntax.parent(function)
    if function.name not in _SAMPLE_METHODS or not isinstance(owner, ast.ClassDef):
        return False
    described = " ".join([owner.name, *(ast.unparse(base) for base in owner.bases)])
    return bool(_DATASET.search(described)) and any(calls(tried.body))


def _skips(
    tried: ast.Try, handler: ast.ExceptHandler, function: ast.FunctionDef | ast.AsyncFunctionDef | None, syntax: Syntax
) -> bool:
    """Does a loop over samples leave out those that cannot be read?"""
    loop = _loop(tried, syntax)
    if loop is None or not _only_passes(handler) or _counts(loop) or not _collects(loop):
        return False
    described = f"{function.name if function else ''} {ast.unparse(loop.target)} {ast.unparse(loop.iter)}"
    read = [callee(call) for call in calls(tried.body)]
    if any(_READS_SAMPLES.search(each) for each in read):
        return not _NO_SAMPLES.search(described)
    if not any(_READS.search(each) for each in read) or _NO_SAMPLES.search(described):
        return False
    kept = " ".join(
        callee(call).rpartition(".")[0] for call in calls(loop.body) if callee(call).endswith((".append", ".add"))
    )
    if isinstance(loop.target, ast.Name) and loop.target.id in ("line", "row"):  # logs have lines, too
        described = f"{function.name if function else ''} {ast.unparse(loop.iter)}"
    return bool(_SAMPLES.search(f"{described} {kept}")) and not _NO_SAMPLES.search(kept)


def _counts(loop: ast.For | ast.AsyncFor) -> bool:
    """Is it a loop of attempts?"""
    ranged = isinstance(loop.iter, ast.Call) and callee(loop.iter) == "range"
    over_items = ranged and any(callee(call) == "len" for call in calls([loop.iter]))
    return (ranged and not over_items) or bool(
        re.search(r"attempt|retr|\btr(y|ies)", ast.unparse(loop.target), re.IGNORECASE)
    )


def _collects(loop: ast.For | ast.AsyncFor) -> bool:
    """Does a loop gather what it reads?"""
    for node in nodes(loop.body):
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if isinstance(node, ast.Call) and callee(node).endswith((".append", ".extend", ".add")):
            return True
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            return True
    return False


def _is_score(last: ast.stmt, function: ast.FunctionDef | ast.AsyncFunctionDef | None) -> bool:
    if isinstance(last, ast.Return):
        return function is not None and bool(_SCORES.search(function.name))
    if isinstance(last, ast.Assign) and len(last.targets) == 1 and isinstance(last.targets[0], ast.Name):
        return bool(_SCORES.search(last.targets[0].id))
    return False


def _is_scored(tried: ast.Try, last: ast.stmt) -> bool:
    """``x = scorer.score(…)``, else a number for the same ``x``."""
    first = tried.body[0]
    if len(tried.body) != 1 or not isinstance(first, ast.Assign) or not isinstance(last, ast.Assign):
        return False
    same = [ast.dump(each) for each in first.targets] == [ast.dump(each) for each in last.targets]
    return same and isinstance(first.value, ast.Call) and bool(_SCORES.search(callee(first.value).rpartition(".")[2]))


def _is_number(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and type(value.value) in (int, float)


def _is_empty(value: ast.expr | None) -> bool:
    if isinstance(value, (ast.List, ast.Tuple, ast.Set)):
        return not value.elts
    return isinstance(value, ast.Dict) and not value.keys


def _gives_samples(function: ast.FunctionDef | ast.AsyncFunctionDef | None, tried: ast.Try) -> bool:
    """Is it a function that reads data, by its name and by what it calls?"""
    if function is None or not _SAMPLES.search(function.name) or _NO_SAMPLES.search(function.name):
        return False
    read = [callee(call) for call in calls(tried.body)]
    return any(_READS_SAMPLES.search(each) or _READS.search(each) for each in read)


def _switches(tried: ast.Try, handler: ast.ExceptHandler, syntax: Syntax) -> bool:
    """``out = kernel(x)``, else ``out = reference(x)``: another implementation gets the same input."""
    if tried.orelse or tried.finalbody or len(handler.body) > 3:
        return False
    first, second = tried.body[-1], handler.body[-1]
    if _only_passes(handler):  # try: return kernel(x) … and behind it: return reference(x)
        block, position = syntax.block(tried)
        if not isinstance(first, ast.Return) or position + 1 >= len(block):
            return False
        second = block[position + 1]
    if not isinstance(first, (ast.Assign, ast.Return)) or not isinstance(second, (ast.Assign, ast.Return)):
        return False
    if _given(first) != _given(second):
        return False
    one, other = first.value, second.value
    if not isinstance(one, ast.Call) or not isinstance(other, ast.Call) or callee(one) == callee(other):
        return False
    if not (_KERNEL.search(callee(one)) or _KERNEL.search(callee(other))):
        return False
    if not other.args and not other.keywords:  # x.old_name(), else x.new_name()
        return False
    return bool(_inputs(one) & _inputs(other))


def _given(statement: ast.Assign | ast.Return) -> list[str]:
    """What a statement assigns to; nothing for a ``return``."""
    return [ast.dump(each) for each in statement.targets] if isinstance(statement, ast.Assign) else []


def _inputs(call: ast.Call) -> set[str]:
    """The variables that a call works on: its arguments, and the object whose method it is."""
    parts: list[ast.AST] = [*call.args, *call.keywords]
    if isinstance(call.func, ast.Attribute):
        parts.append(call.func.value)
    return {node.id for node in nodes(parts) if isinstance(node, ast.Name)} - {"self", "cls", "torch", "F", "np"}


def _replaces_own_module(tried: ast.Try, handler: ast.ExceptHandler) -> bool:
    """A module of the same package that cannot be imported, and something else, or nothing, in its place."""
    if not all(isinstance(each, ast.ImportFrom) and each.level for each in tried.body):
        return False
    if _only_passes(handler):
        return True
    return all(
        isinstance(each, ast.Assign) and not isinstance(each.value, (ast.Constant, ast.Tuple, ast.Dict, ast.List))
        for each in handler.body
    )
