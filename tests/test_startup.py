"""What runs at import: small projects in, the places of findings out; and what mutability and calls are asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mllint.authoring.cases import check_folder
from mllint.checking.packs import builtin_rules
from mllint.checking.ruleset import RuleSet
from mllint.checking.select import Selection

CODES = frozenset({"ML101", "ML102", "ML103"})

#: A module that is imported by another one, that is no test.
IMPORTER = "# file: main.py\nimport lib\n"

SETTINGS = """# file: settings.py
class Settings:
    width = 8
    depth = 2

settings = Settings()
table = {"width": 8}
flag = False

def configure(width):
    global flag
    flag = True
    settings.width = width
    table["width"] = width
"""


def findings(text: str, folder: Path, info: bool = False) -> list[str]:
    """``path:row code`` of all findings in the parts of a text that begin with ``# file: path``."""
    parts = re.split(r"^# file: (\S+)\n", text, flags=re.MULTILINE)
    for path, part in zip(parts[1::2], parts[2::2], strict=True):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(part, "utf-8")
    rules = RuleSet(builtin_rules(), Selection(CODES, CODES if info else frozenset()))
    reports = check_folder(folder, rules)
    return [f"{path}:{each.begin.row} {each.code}" for path, report in reports.items() for each in report.diagnostics]


MODELS = {
    "torch class": "import torch.nn as nn\nclass A(nn.Module):\n    def __init__(self):\n        self.l = nn.Linear(1, 1)\nm = A()",
    "derived twice": "from torch import nn\nclass A(nn.Module):\n    def __init__(self):\n        self.w = nn.Parameter(0)\n"
    "class B(A): pass\nm = B()",
    "class method": "from torch import nn\nclass Net(nn.Module):\n    def __init__(self):\n        self.l = nn.Linear(1, 1)\n"
    "    @classmethod\n    def small(cls):\n        return cls()\nm = Net.small()",
    "functional keras": "from tensorflow import keras\ni = keras.Input((3,))\nm = keras.Model(i, keras.layers.Dense(1)(i))",
    "keras subclass": "import tensorflow as tf\nclass M(tf.keras.Model): pass\nm = M()",
    "lightning": "import pytorch_lightning as pl\nclass L(pl.LightningModule): pass\nm = L.load_from_checkpoint('x')",
    "loaded keras": "from keras.models import load_model\nm = load_model('x.keras')",
    "with a scope": "import tensorflow as tf\ns = tf.distribute.MirroredStrategy()\nwith s.scope():\n"
    "    m = tf.keras.Sequential([])",
    "tried": "import timm\ntry:\n    m = timm.create_model('vit')\nexcept OSError:\n    m = None",
    "in a list": "from transformers import AutoModel\nnets = []\nnets.append(AutoModel.from_pretrained('x'))",
    "from its configuration": "from transformers import BertConfig, BertModel\nm = BertModel(BertConfig())",
    "pair": "from transformers import AutoModel, AutoTokenizer\ndef load():\n    model = AutoModel.from_pretrained('x')\n"
    "    return AutoTokenizer.from_pretrained('x'), model\ntokenizer, model = load()",
    "compiled": "import torch\nfrom torch import nn\nm = torch.compile(nn.Sequential(nn.Linear(1, 1)))",
    "attribute": "import types\nimport timm\napp = types.SimpleNamespace()\napp.model = timm.create_model('vit')",
}

NO_MODELS = {
    "activation": "from torch import nn\nclass Act(nn.Module):\n    def forward(self, x): return x\nnet = Act()",
    "loss": "from torch import nn\nmodel_loss = nn.CrossEntropyLoss()",
    "collator": "from transformers import DataCollatorForLanguageModeling\nmodel_collator = DataCollatorForLanguageModeling(1)",
    "counted": "from torch import nn\nn = sum(p.numel() for p in nn.Linear(2, 2).parameters())",
    "lazily": "from torch import nn\n_model = None\ndef get():\n    global _model\n    _model = _model or nn.Linear(1, 1)\n    return _model",
    "unknown class": "from elsewhere import Network\nmodel = Network()",
    "lambda": "from torch import nn\nmake_model = lambda: nn.Linear(1, 1)",
    "main": "from torch import nn\nif __name__ == '__main__':\n    model = nn.Linear(1, 1)",
    "pydantic": "from pydantic import BaseModel, Field\nclass M(BaseModel):\n    model: str = Field('x')\nm = M()",
    "data class": "from dataclasses import dataclass\n@dataclass\nclass ModelSpec:\n    n: int = 1\nmodel = ModelSpec()",
    "inside a function": "from torch import nn\ndef f(model=None):\n    return model or nn.Linear(1, 1)",
}


@pytest.mark.parametrize("code", MODELS.values(), ids=MODELS)
def test_models_built_at_import(code: str, tmp_path: Path) -> None:
    last = max(
        row for row, line in enumerate(code.splitlines(), 1) if re.search(r"\b(m|model|nets|app)\b", line.split("(")[0])
    )
    if "except" in code:
        last = 3
    assert findings(f"# file: lib.py\n{code}\n{IMPORTER}", tmp_path) == [f"lib.py:{last} ML101"]


@pytest.mark.parametrize("code", NO_MODELS.values(), ids=NO_MODELS)
def test_what_is_no_model_or_is_built_later(code: str, tmp_path: Path) -> None:
    assert findings(f"# file: lib.py\n{code}\n{IMPORTER}", tmp_path) == []


@pytest.mark.parametrize(
    ("importer", "expected"),
    [
        ("# file: main.py\nimport lib\n", 1),
        ("# file: pkg/deep.py\ndef f():\n    from lib import m\n", 1),
        ("# file: tests/test_lib.py\nimport lib\n", 0),
        ("# file: conftest.py\nimport lib\n", 0),
        ("# file: other.py\nimport library\n", 0),
    ],
)
def test_only_modules_that_are_imported(importer: str, expected: int, tmp_path: Path) -> None:
    code = "# file: lib.py\nimport torch\nfrom torch import nn\ntorch.manual_seed(0)\nm = nn.Linear(1, 1)\n"
    assert len(findings(code + importer, tmp_path)) == 2 * expected


EFFECTS = {
    "helper": (
        "from seeds import fix_seed\nfix_seed(1)\n# file: seeds.py\nimport torch\ndef fix_seed(s):\n    torch.manual_seed(s)",
        1,
    ),
    "helper that only counts": (
        "from seeds import next_seed\ns = next_seed(1)\n# file: seeds.py\ndef next_seed(s):\n    return s + 1",
        0,
    ),
    "loop": ("import glob, os\nfor p in glob.glob('*.tmp'):\n    os.remove(p)", 1),
    "guarded": ("import os\nif os.path.exists('x'):\n    os.remove('x')", 0),
    "list": ("names = []\nnames.remove('a')", 0),
    "joined path": ("from pathlib import Path\nROOT = Path('.')\n(ROOT / 'x').unlink()", 1),
    "own data": (
        "import os\nimport numpy as np\nHERE = os.path.dirname(__file__)\nT = np.load(os.path.join(HERE, 't.npy'))",
        0,
    ),
    "other data": ("import pandas as pd\ndata = pd.read_parquet('x.parquet')", 1),
    "regular expression": ("import re\np = re.compile('x')", 0),
    "fitted": ("from sklearn.svm import SVC\nclf = SVC().fit([[1]], [1])", 1),
    "trained": ("from transformers import Trainer\nt = Trainer()\nt.train()", 1),
    "mode": ("from torch import nn\nact = nn.ReLU()\nact.train()", 0),
    "own generator": ("import numpy as np\nrng = np.random.RandomState(0)\nrng.seed(3)", 0),
    "re-bound": ("import tensorflow as tf\nK = tf.keras.backend\nK.clear_session()", 1),
    "in a function": ("import torch\ndef f():\n    torch.manual_seed(0)", 0),
    "default type": ("import torch\ntorch.set_default_tensor_type('torch.cuda.FloatTensor')", 1),
}


@pytest.mark.parametrize(("code", "expected"), EFFECTS.values(), ids=EFFECTS)
def test_effects_at_import(code: str, expected: int, tmp_path: Path) -> None:
    found = [each for each in findings(f"# file: lib.py\n{code}\n{IMPORTER}", tmp_path) if "ML102" in each]
    assert len(found) == expected


USE = "\ndef f():\n    return value\n"

FROZEN = {
    "attribute": ("from settings import settings\nvalue = settings.width" + USE, 1),
    "other attribute": ("from settings import settings\nvalue = settings.depth" + USE, 0),
    "through the module": ("import settings\nvalue = settings.settings.width * 2" + USE, 1),
    "item": ("from settings import table\nvalue = int(table['width'])" + USE, 1),
    "other item": ("from settings import table\nvalue = table['depth']" + USE, 0),
    "the object itself": ("from settings import settings\nvalue = settings" + USE, 0),
    "not used": ("from settings import settings\nvalue = settings.width\ndef f(value): return value", 0),
    "default": ("from settings import settings\ndef f(width=settings.width): return width", 1),
    "keyword default": ("from settings import settings\ndef f(*, width=settings.width): return width", 1),
    "method default": (
        "from settings import settings\nclass A:\n    def f(self, width=settings.width): return width",
        1,
    ),
    "inner default": (
        "from settings import settings\ndef g():\n    def f(width=settings.width): return width\n    return f",
        0,
    ),
    "class attribute": ("from settings import settings\nclass A:\n    width = settings.width", 1),
    "copied": ("from settings import flag\ndef f():\n    return flag", 1),
    "copied and called": ("from settings import configure\ndef f():\n    return configure(3)", 0),
    "copied object": ("from settings import settings\ndef f():\n    return settings.width", 0),
    "imported late": ("def f():\n    from settings import flag\n    return flag", 0),
    "lambda": ("from settings import settings\nvalue = lambda: settings.width" + USE, 0),
    "environment": ("import os\nvalue = os.environ.get('STUDY_X', '').lower() == 'yes'" + USE, 1),
    "environment through a function": (
        "import os\ndef env_flag(n):\n    return os.getenv(n) == '1'\nvalue = env_flag('X')" + USE,
        1,
    ),
    "environment for somebody else": (
        "import os\nimport client\nvalue = client.Client(key=os.environ['KEY'])" + USE,
        0,
    ),
    "field from the environment": ("import os\nclass A:\n    key = os.environ.get('KEY')", 0),
    "process": ("import os\nvalue = int(os.environ['LOCAL_RANK'])" + USE, 0),
    "upper case": ("import os\nVALUE = os.environ.get('X')\ndef f():\n    return VALUE", 0),
    "refreshed": (
        "import os\nvalue = os.getenv('X')\ndef f():\n    global value\n    value = os.getenv('X')\n    return value",
        0,
    ),
}


@pytest.mark.parametrize(("code", "expected"), FROZEN.values(), ids=FROZEN)
def test_settings_kept_from_the_import(code: str, expected: int, tmp_path: Path) -> None:
    found = findings(f"{SETTINGS}# file: lib.py\n{code}\n# file: main.py\nimport lib, settings\n", tmp_path)
    assert len([each for each in found if each.startswith("lib.py")]) == expected


def test_switches_are_told_at_info_level(tmp_path: Path) -> None:
    code = "# file: lib.py\nimport os\nVALUE = os.environ.get('X')\ndef f():\n    return VALUE\n"
    assert findings(code + IMPORTER, tmp_path, info=True) == ["lib.py:2 ML103"]


WRITERS = {
    "function": ("def change():\n    config.width = 2", 1),
    "another module": ("# file: other.py\nimport lib\ndef change():\n    lib.config.width = 2", 1),
    "under another name": ("# file: other.py\nfrom lib import config as c\ndef change():\n    c.width = 2", 1),
    "setattr": ("def change(**new):\n    for name in new:\n        setattr(config, name, new[name])", 1),
    "update": ("def change(**new):\n    config.update(new)", 1),
    "merge": ("def change(path):\n    config.merge_from_file(path)", 1),
    "own method": ("# file: other.py\nfrom lib import config\ndef change():\n    config.widen()", 1),
    "nobody": ("", 0),
    "its parameter": ("def change(config):\n    config.width = 2", 0),
    "another attribute": ("def change():\n    config.depth = 2", 0),
    "module level": ("config.width = 2", 0),
    "a test": ("# file: test_lib.py\nimport lib\ndef test():\n    lib.config.width = 2", 0),
    "set up at import": ("def set_up():\n    config.width = 2\nset_up()", 0),
    "filled when needed": ("def fill():\n    if config.width is None:\n        config.width = 2", 0),
    "appended": ("def change():\n    config.items.append(3)", 0),
}


@pytest.mark.parametrize(("writer", "expected"), WRITERS.values(), ids=WRITERS)
def test_who_makes_an_object_changeable(writer: str, expected: int, tmp_path: Path) -> None:
    code = (
        "# file: lib.py\nclass Config:\n    width = 1\n    def widen(self):\n        self.width = 3\n    def update(self, new): ...\n"
        f"config = Config()\nvalue = config.width\ndef use():\n    return value\n{writer}\n"
    )
    assert [each for each in findings(code + IMPORTER, tmp_path) if "ML103" in each] == ["lib.py:7 ML103"] * expected


def told(text: str, folder: Path) -> str:
    """The message of the only finding of ML101."""
    findings(text, folder)
    reports = check_folder(folder, RuleSet(builtin_rules(), Selection(frozenset({"ML101"}), frozenset())))
    (message,) = (each.message for report in reports.values() for each in report.diagnostics)
    return message


BUILDS = {
    "argument": ("net = Net(settings.width)", "`settings.width`"),
    "constructor": ("net = Net(1)", ""),
    "helper": (
        "def make():\n    return Net(wide())\ndef wide():\n    return settings.width\nnet = make()",
        "`settings.width`",
    ),
    "handed in": (
        "class Sized(Net):\n    def __init__(self, cfg):\n        super().__init__(cfg.width)\nnet = Sized(settings)",
        "`cfg.width`",
    ),
    "method of its own": (
        "class Sized(Net):\n    def __init__(self):\n        super().__init__(self.size())\n"
        "    def size(self):\n        return settings.width\nnet = Sized()",
        "`settings.width`",
    ),
}


@pytest.mark.parametrize(("code", "read"), BUILDS.values(), ids=BUILDS)
def test_reads_of_a_build_are_named(code: str, read: str, tmp_path: Path) -> None:
    lib = (
        "# file: lib.py\nfrom torch import nn\nfrom settings import settings\nclass Net(nn.Module):\n"
        f"    def __init__(self, width):\n        self.l = nn.Linear(width, 1)\n{code}\n"
    )
    message = told(SETTINGS + lib + "# file: main.py\nimport lib, settings\n", tmp_path)
    expected = f"is built at import, with {read} as it was then" if read else "is built when this module is imported"
    assert message.startswith(f"`net` {expected}")
