"""What TARGET means, how a file is imported, and what in it is found to probe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from mllint.probe.recording.discover.search import find
from mllint.probe.recording.entry import Entry, entry_from
from mllint.probe.recording.load import load
from mllint.probe.recording.run import Run, scalar
from mllint.probe.target import Target, TargetError, target_of

FILES = {"train.py", "a/b.py", "pkg/__init__.py", "C:\\x.py", "notes.txt", "n.ipynb", "odd:name.py", "C:/deep/x.py"}
FOLDERS = {"a", "pkg", "."}


def meant(text: str) -> Target:
    return target_of(text, FILES.__contains__, FOLDERS.__contains__)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("train.py", Target(path="train.py")),
        ("train.py:fn", Target(path="train.py", function="fn")),
        ("a/b.py:Net", Target(path="a/b.py", function="Net")),
        ("a/b.py:Net.probe", Target(path="a/b.py", function="Net.probe")),
        ("C:\\x.py", Target(path="C:\\x.py")),
        ("C:\\x.py:fn", Target(path="C:\\x.py", function="fn")),
        ("C:/deep/x.py:fn", Target(path="C:/deep/x.py", function="fn")),
        ("odd:name.py", Target(path="odd:name.py")),
        ("package.module:fn", Target(module="package.module", function="fn")),
        ("package.module", Target(module="package.module")),
        ("pkg:fn", Target(module="pkg", function="fn")),
    ],
)
def test_what_a_target_means(text: str, target: Target) -> None:
    assert meant(text) == target


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("trian.py", "no such file"),
        ("a/b", "did you mean `a/b.py`"),
        ("a", "a folder cannot be probed"),
        (".", "a folder cannot be probed"),
        ("a/", "a folder cannot be probed"),
        ("notes.txt:fn", "no Python file"),
        ("n.ipynb", "a notebook cannot be probed"),
        ("train.py:", "no function after the colon"),
        ("train.py::fn", "`train.py:fn`"),
        ("train.py:1x", "no name of a function"),
        ("my-file", "neither a file nor a module"),
    ],
)
def test_what_is_no_target(text: str, says: str) -> None:
    folders = {*FOLDERS, "a/"}
    with pytest.raises(TargetError, match=r".") as caught:
        target_of(text, FILES.__contains__, folders.__contains__)
    assert says in str(caught.value)


# ---- import


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """``place(name, text)`` writes a file below a fresh current folder; nothing imported from there stays."""
    before = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    yield write
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)) or name.startswith("target_"):
            del sys.modules[name]


def test_a_script_finds_what_lies_beside_it_and_in_the_current_folder(place: Callable[..., Path]) -> None:
    place("here_module.py", "NAME = 'current folder'")
    place("sub/beside_module.py", "NAME = 'beside'")
    text = "import beside_module, here_module, sys\nassert sys.argv == ['sub/script.py']\n"
    place("sub/script.py", text + "if __name__ == '__main__':\n    raise SystemExit('it ran')\n")
    module = load(Target(path="sub/script.py"))
    assert (module.beside_module.NAME, module.here_module.NAME) == ("beside", "current folder")


def test_a_file_of_a_package_imports_relatively_and_a_script_in_it_its_siblings(place: Callable[..., Path]) -> None:
    place("src/outer_pkg/__init__.py", "")
    place("src/outer_pkg/inner/__init__.py", "")
    place("src/outer_pkg/base.py", "NAME = 'base'")
    place("src/outer_pkg/inner/sibling_module.py", "NAME = 'sibling'")
    place("src/outer_pkg/inner/train.py", "from ..base import NAME\nimport sibling_module\n")
    module = load(Target(path="src/outer_pkg/inner/train.py"))
    assert module.__name__ == "outer_pkg.inner.train" and module.NAME == "base"


@pytest.mark.parametrize("name", ["random.py", "torch.py", "my-script.py"])
def test_a_file_called_like_a_library_hides_none(place: Callable[..., Path], name: str) -> None:
    place(name, "import random, torch\nVALUE = random.random() + torch.ones(1).item()\n")
    assert load(Target(path=name)).VALUE >= 1


def test_a_module_that_is_not_there_is_told_from_one_that_it_needs(place: Callable[..., Path]) -> None:
    with pytest.raises(TargetError, match="no module `no_such_pkg`"):
        load(Target(module="no_such_pkg.train"))
    place("needs_more.py", "import surely_not_installed\n")
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed"):
        load(Target(module="needs_more"))


# ---- discovery

NET = "import torch\nfrom torch import nn\n"


def found(place: Callable[..., Path], text: str, function: str = "") -> Entry:
    """The entry of a file, checked by one step."""
    place("target_under_test.py", NET + text)
    sys.modules.pop("target_under_test", None)
    target = Target(path="target_under_test.py", function=function)
    entry = entry_from(find(target, load(target)).build())
    run = Run(entry)
    run.step(0)
    if entry.loss is not None:
        assert scalar(entry.loss(entry.model, run.batch(1))).requires_grad
    return entry


def test_the_declared_function_comes_first(place: Callable[..., Path]) -> None:
    text = (
        "class Net(nn.Linear):\n    example_inputs = None\n"
        "def mllint_probe():\n    return {'model': nn.Linear(2, 1), 'batches': [torch.ones(3, 2)], "
        "'loss': lambda model, batch: model(batch).mean()}\n"
        "other = mllint_probe\n"
    )
    assert isinstance(found(place, text).model, torch.nn.Linear)
    assert isinstance(found(place, text, "other").model, torch.nn.Linear)


LIGHTNING = """
class LightningModule(nn.Module):
    automatic_optimization = True
    def log(self, *args): raise RuntimeError("no trainer")
    def training_step(self, *args): ...
    def configure_optimizers(self): ...
    def train_dataloader(self): raise RuntimeError

class Base(LightningModule):
    def __init__(self, width=3):
        super().__init__()
        self.net = nn.Linear(2, width)
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        per_step = {"scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": per_step}
"""

STEP = """
class Net(Base):
    def training_step(self, batch, batch_idx):
        loss = self.net(batch[0]).square().mean()
        self.log("loss", loss)
        return {"loss": loss}
"""

MANUAL = """
class Gan(Base):
    automatic_optimization = False
    def configure_optimizers(self):
        return [torch.optim.SGD(self.parameters(), lr=0.1), torch.optim.Adam(self.parameters())], []
    def training_step(self, batch):
        for optimizer in self.optimizers():
            optimizer.zero_grad()
            self.manual_backward(self.net(batch[0]).square().mean())
            optimizer.step()
    def train_dataloader(self):
        return [(torch.ones(4, 2),)] * 3
"""

DATA = """
class Data:
    def setup(self, stage): self.rows = torch.utils.data.TensorDataset(torch.ones(8, 2))
    def train_dataloader(self): return torch.utils.data.DataLoader(self.rows, batch_size=4)
"""


def test_a_lightning_module_with_a_data_module(place: Callable[..., Path]) -> None:
    entry = found(place, LIGHTNING + STEP + DATA)
    assert type(entry.model).__name__ == "Net" and entry.loss is not None
    assert len(entry.optimizers) == 1 and entry.scheduler is not None


def test_a_lightning_module_that_optimizes_by_hand(place: Callable[..., Path]) -> None:
    entry = found(place, LIGHTNING + MANUAL)
    assert entry.step is not None and len(entry.optimizers) == 2 and entry.scheduler is None


def test_a_model_with_example_inputs_gets_a_loss_that_every_output_feels(place: Callable[..., Path]) -> None:
    text = (
        "class Net(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.a, self.b = nn.Linear(3, 4), nn.Linear(3, 2)\n"
        "        self.norm = nn.LayerNorm(4, elementwise_affine=False)\n"
        "    def forward(self, x, scale=1.0):\n"
        "        return {'one': self.norm(self.a(x)) * scale, 'index': self.a(x).argmax(-1), 'two': (self.b(x),)}\n"
        "    @staticmethod\n    def example_inputs():\n        return {'x': torch.randn(5, 3), 'scale': 2.0}\n"
    )
    run = Run(found(place, text))
    assert all(bool((each != 0).any()) for each in run.gradients(run.batch(0)).values() if each is not None)
    assert None not in run.gradients(run.batch(0)).values()


def test_model_get_inputs_get_init_inputs(place: Callable[..., Path]) -> None:
    text = (
        "class Model(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n"
        "        self.w = nn.Parameter(torch.randn(n, n))\n    def forward(self, a, b):\n        return a @ self.w + b\n"
        "def get_inputs():\n    return [torch.randn(4, 3), torch.randn(4, 3)]\n"
        "def get_init_inputs():\n    return [3]\n"
    )
    assert type(found(place, text).model).__name__ == "Model"


HUGGING_FACE = """
class PretrainedConfig:
    vocab_size, hidden_size, num_hidden_layers, pad_token_id, num_labels = 30_000, 300, 24, 29_999, 5

class PreTrainedModel(nn.Module):
    main_input_name = "input_ids"

class TinyForSequenceClassification(PreTrainedModel):
    config_class = PretrainedConfig
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=config.pad_token_id)
        self.layers = nn.ModuleList(nn.Linear(config.hidden_size, config.hidden_size) for _ in range(config.num_hidden_layers))
        self.head = nn.Linear(config.hidden_size, config.num_labels)
        assert not OTHER or config.hidden_size % 150 == 0
    def forward(self, input_ids, attention_mask, labels):
        hidden = self.words(input_ids)
        for layer in self.layers:
            hidden = layer(hidden).relu()
        logits = self.head(hidden.mean(1))
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}
"""


@pytest.mark.parametrize(("other", "width"), [("False", 64), ("True", 300)])
def test_a_hugging_face_model_is_shrunk_as_far_as_it_bears(place: Callable[..., Path], other: str, width: int) -> None:
    entry = found(place, f"OTHER = {other}\n{HUGGING_FACE}")
    model = entry.model
    assert len(model.layers) == 2 and model.head.in_features == width  # type: ignore[arg-type]
    assert "labels" in Run(entry).batch(0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Add a function like this"),
        ("class A(nn.Module): pass\nclass B(nn.Module): pass\n", "`A`, `B` have none"),
        ("def mllint_probe(config): ...\n", "it must take no arguments, and this one needs config"),
        ("def mllint_probe_a(): ...\ndef mllint_probe_b(): ...\n", "name one of `mllint_probe_a`, `mllint_probe_b`"),
        (LIGHTNING + STEP, "`Net` has no `train_dataloader`"),
        (
            LIGHTNING + STEP.replace("Net", "One") + STEP.replace("Net", "Two") + DATA,
            "several are there (`One`, `Two`)",
        ),
        (
            "class N(nn.Linear):\n    def __init__(self, width): ...\n    def example_inputs(self): ...\n",
            "`N` needs arguments (width)",
        ),
    ],
)
def test_what_does_not_fit_is_said(place: Callable[..., Path], text: str, says: str) -> None:
    with pytest.raises(TargetError) as caught:
        found(place, text)
    assert says in str(caught.value)


def test_a_function_that_is_not_there_names_the_nearest(place: Callable[..., Path]) -> None:
    with pytest.raises(TargetError, match="no `mllint_prob` in it; did you mean `mllint_probe`"):
        found(place, "def mllint_probe(): ...\n", "mllint_prob")


def test_the_lines_to_add_are_a_target(place: Callable[..., Path]) -> None:
    from mllint.probe.target import TEMPLATE

    head = "Net = lambda: nn.Linear(4, 3)\nloader = [(torch.randn(8, 4), torch.randint(0, 3, (8,)))]\n"
    assert found(place, head + TEMPLATE).loss is not None
    assert len(TEMPLATE.splitlines()) == 10
