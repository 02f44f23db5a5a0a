"""Does this expression build a model: an object with weights, of torch, Keras, or a library on top of them?

``may_build`` looks at one file and errs towards True; ``built`` asks the project and errs towards None.

May not: count what has no weights (activations, losses, tokenizers, configurations), or say when it is built.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from mllint.analysis.names import dotted_name
from mllint.analysis.project import Project
from mllint.analysis.startup.sites import Function, Site, called, functions, node_of, running, site_of
from mllint.analysis.startup.words import MODEL_WORDS
from mllint.analysis.syntax import Syntax

_KERAS = ("keras", "tensorflow.keras", "tf_keras", "tensorflow.python.keras", "tensorflow.compat.v1.keras")

#: Bases that make a class a model, whatever it holds.
MODELS = frozenset(
    {f"{keras}.{name}" for keras in _KERAS for name in ("Model", "Sequential")}
    | {f"{keras}.models.{name}" for keras in _KERAS for name in ("Model", "Sequential")}
    | {"pytorch_lightning.LightningModule", "lightning.LightningModule", "lightning.pytorch.LightningModule"}
    | {"transformers.PreTrainedModel", "transformers.TFPreTrainedModel", "transformers.modeling_utils.PreTrainedModel"}
    | {"diffusers.ModelMixin", "diffusers.models.modeling_utils.ModelMixin"}
)

#: Bases that make a class a module, which may be a mere function.
MODULES = frozenset({"torch.nn.Module", "torch.nn.modules.Module", "torch.nn.modules.module.Module"})

_LAYERS = re.compile(
    r"torch\.nn\.(Linear|Bilinear|Lazy\w+|Conv(Transpose)?[123]d|Embedding(Bag)?|RNN|LSTM|GRU|(RNN|LSTM|GRU)Cell"
    r"|Transformer\w*|MultiheadAttention|(Sync)?BatchNorm\w*|LayerNorm|GroupNorm|RMSNorm|PReLU|Parameter)"
)
_HOLDERS = frozenset({"torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"})

#: Functions of libraries that give a whole model.
_BUILDERS = re.compile(
    r"timm\.create_model|timm\.models\.create_model|torch\.hub\.load|torch\.jit\.load|transformers\.pipeline"
    r"|sentence_transformers\.(SentenceTransformer|CrossEncoder)|whisper\.load_model|clip\.load|ultralytics\.YOLO"
    r"|torchvision\.models\.(\w+\.)?(?!get_|list_)[a-z]\w*|segmentation_models_pytorch\.\w+|open_clip\.create_model\w*"
    r"|(keras|tensorflow\.keras|tf_keras)\.(models\.(load_model|clone_model|model_from_\w+)|saving\.load_model"
    r"|applications\.(\w+\.)?[A-Z]\w+)"
)

#: Class methods that load a model, where their class is one.
_LOADERS = frozenset({"from_pretrained", "from_config", "load_from_checkpoint"})
_MODEL_CLASS = re.compile(
    r"(AutoModel|\w*Model|\w*For[A-Z]\w+|\w*Pipeline|\w*LMHeadModel|PeftModel|UNet\w+|Autoencoder\w+)(?!\w)"
)
_NO_MODEL_CLASS = re.compile(
    r"Tokenizer|Processor|Config|Extractor|Scheduler|Vocab|Args|Arguments|Output|Collator|Criteria|Trainer|Callback|Dataset"
)

#: Methods that give the model back, and wrappers that keep it.
_CHAINED = frozenset(
    "to cuda cpu eval train half float double bfloat16 requires_grad_ compile to_empty apply share_memory".split()  # noqa: SIM905
)
_WRAPPERS = frozenset(
    {
        "torch.compile",
        "torch.jit.script",
        "torch.jit.trace",
        "torch.nn.DataParallel",
        "copy.deepcopy",
        "tensorflow.function",
    }
    | {
        "torch.nn.parallel.DataParallel",
        "torch.nn.parallel.DistributedDataParallel",
        "torch.quantization.quantize_dynamic",
    }
)

#: Packages that only build what is named above.
_KNOWN = re.compile(
    r"(torch|torchvision|torchaudio|numpy|tensorflow|keras|tf_keras|jax|flax|transformers|diffusers|timm|os|sys|re|typing"
    r"|typing_extensions|collections|functools|itertools|logging|pathlib|enum|dataclasses|pandas|scipy|sklearn|argparse|abc"
    r"|types|importlib|pydantic|typer|click|packaging|attr|attrs|unittest|sqlalchemy|huggingface_hub|[A-Z]\w*Error)(\.|$)"
)

#: `MODEL_WORDS` in the names of what builds a model, of what is built, or of a base class: nothing else is asked about.
_WORDS = re.compile("|".join(MODEL_WORDS))

#: How many calls and classes deep a model is looked for.
_DEPTH = 4


def kept_calls(value: ast.expr, site: Site) -> Iterator[ast.Call]:
    """The calls whose result an expression keeps: itself, below ``.to(…)`` or a wrapper, as an item of a display."""
    pending = [value]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Call):
            owner = node.func.value if isinstance(node.func, ast.Attribute) else None
            if isinstance(owner, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHAINED:
                pending.append(owner)
            elif site.dotted(node.func) in _WRAPPERS:
                pending += node.args[:1]
            else:
                yield node
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            pending += reversed(node.elts)
        elif isinstance(node, ast.Dict):
            pending += reversed(node.values)
        elif isinstance(node, (ast.ListComp, ast.SetComp)):
            pending.append(node.elt)
        elif isinstance(node, ast.DictComp):
            pending.append(node.value)
        elif isinstance(node, ast.IfExp):
            pending += [node.orelse, node.body]


def may_build(call: ast.Call, target: str, site: Site, syntax: Syntax, depth: int = _DEPTH) -> bool:
    """Could a call build a model, as far as its own file tells? ``target`` is the name that it goes into."""
    dotted = site.dotted(call.func)
    if not dotted:
        return False
    if _builds_outside(call, dotted, site):
        return True
    if _KNOWN.match(dotted):
        return False
    owner, _, last = dotted.rpartition(".")
    made = owner.rpartition(".")[2] if last in _LOADERS else last
    if _NO_MODEL_CLASS.search(made):
        return False
    maker = owner.rpartition(".")[2]  # of a class method: ``Net.small()``
    named = (made, target, maker if maker[:1].isupper() else "")
    if any(_WORDS.search(each) for each in (*named, *_local_bases(dotted, site), *_local_bases(owner, site))):
        return True
    here = [each for each in site.index.definitions if each.qualname == dotted]
    if not depth or not here or here[-1].kind != "function":
        return False
    function = next(each for each in functions(syntax) if each.lineno == here[-1].line)
    inside = site.within(function)
    return any(may_build(each, "", inside, syntax, depth - 1) for each in _returned_calls(function, inside))


def _local_bases(dotted: str, site: Site) -> set[str]:
    """The bases, as written, of a class of the same file and of what it derives from there."""
    bases: set[str] = set()
    pending = [dotted]
    while pending:
        name = pending.pop()
        new = {base for each in site.index.definitions if each.qualname == name for base in each.bases} - bases
        bases |= new
        pending += new
    return bases


def built(call: ast.Call, site: Site, project: Project, depth: int = _DEPTH) -> bool:
    """Does a call build a model, for certain?"""
    dotted = site.dotted(call.func)
    if not dotted or depth < 0:
        return False
    if _builds_outside(call, dotted, site):
        return True
    owner, _, last = dotted.rpartition(".")
    if last in _LOADERS and owner:
        return is_model(owner, site, project, depth)
    node, there = called(call, site, project) or (None, site)
    if isinstance(node, ast.ClassDef):
        return is_model(dotted, site, project, depth)
    if node is None:
        return False
    inside = there.within(node)
    returned = _returned_calls(node, inside)
    if any(isinstance(each.func, ast.Name) and each.func.id == "cls" for each in returned):
        return is_model(owner, site, project, depth)  # a class method that makes one
    return any(built(each, inside, project, depth - 1) for each in returned)


def is_model(dotted: str, site: Site, project: Project, depth: int = _DEPTH) -> bool:
    """Is a class, by its dotted name, a model of Keras or on top of torch, or a torch module that holds weights?"""
    if _NO_MODEL_CLASS.search(dotted.rpartition(".")[2]):
        return False
    if project.is_a(dotted, site.path, MODELS):
        return True
    return project.is_a(dotted, site.path, MODULES) and _holds_weights(dotted, site, project, depth)


def _builds_outside(call: ast.Call, dotted: str, site: Site) -> bool:
    """Does a library's own class or function, by its name, build a model?"""
    if dotted in MODELS:
        return True
    if _BUILDERS.fullmatch(dotted):
        return True
    if _LAYERS.fullmatch(dotted):
        return not dotted.endswith((".Parameter", ".PReLU"))
    if dotted in _HOLDERS:
        inner = (each for each in ast.walk(call) if isinstance(each, ast.Call) and each is not call)
        return any(_LAYERS.fullmatch(site.dotted(each.func)) for each in inner)
    owner, _, last = dotted.rpartition(".")
    name = owner.rpartition(".")[2] if last in _LOADERS else last
    return (
        "." in dotted
        and owner.partition(".")[0] in ("transformers", "diffusers", "peft", "trl", "unsloth", "optimum", "auto_gptq")
        and bool(_MODEL_CLASS.fullmatch(name))
        and not _NO_MODEL_CLASS.search(name)
    )


def _holds_weights(dotted: str, site: Site, project: Project, depth: int) -> bool:
    """Does a torch module, or a class that it derives from, set something with weights on itself?"""
    found = project.resolve(dotted, site.path)
    node = node_of(found, project) if found else None
    there = site_of(found.path, project) if found else None
    if found is None or there is None or not isinstance(node, ast.ClassDef) or depth < 0:
        return False
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and _sets_weights(method, there, project, depth):
            return True
    bases = [there.dotted(base) for base in node.bases]
    return any(base and base not in MODULES and _holds_weights(base, there, project, depth - 1) for base in bases)


def _sets_weights(method: Function, site: Site, project: Project, depth: int) -> bool:
    inside = site.within(method)
    for node in running(method.body):
        if isinstance(node, ast.Call) and dotted_name(node.func) == "self.register_parameter":
            return True
        if isinstance(node, ast.Assign) and any(dotted_name(each).startswith("self.") for each in node.targets):
            inner = (each for each in ast.walk(node.value) if isinstance(each, ast.Call))
            if any(_is_weight(each, inside, project, depth) for each in inner):
                return True
    return False


def _is_weight(call: ast.Call, site: Site, project: Project, depth: int) -> bool:
    return bool(_LAYERS.fullmatch(site.dotted(call.func))) or built(call, site, project, depth - 1)


def _returned_calls(function: Function, inside: Site) -> list[ast.Call]:
    """The calls whose results a function returns, directly or under a local name."""
    nodes = list(running(function.body))
    values = [node.value for node in nodes if isinstance(node, ast.Return) and node.value is not None]
    items = [item for each in values for item in (each.elts if isinstance(each, ast.Tuple) else [each])]
    names = {each.id for each in items if isinstance(each, ast.Name)}
    for node in nodes:
        if isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Name) and each.id in names for each in node.targets
        ):
            values.append(node.value)
    return [each for value in values for each in kept_calls(value, inside)]


__all__ = ["MODELS", "MODULES", "built", "is_model", "kept_calls", "may_build"]
