"""No line of the project runs what a file says: no pickle, no code, no shell."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    path
    for room in ("mixnet_core", "baselines", "benchmarks", "results/notebooks")
    for path in (ROOT / room).rglob("*.py")
)
# what builds objects, and so runs code, from bytes
LOADERS = {
    "pickle": {"load", "loads", "Unpickler"},
    "cPickle": {"load", "loads"},
    "cloudpickle": {"load", "loads"},
    "dill": {"load", "loads"},
    "joblib": {"load"},
    "marshal": {"load", "loads"},
    "shelve": {"open"},
    "pandas": {"read_pickle", "eval"},
    "os": {"system", "popen"},
    "torch": {"load"},
    "numpy": {"load"},
    "yaml": {"load", "load_all"},
    "shutil": {"unpack_archive"},
    "runpy": {"run_path"},
}
LOADERS["torch.jit"] = LOADERS["torch.hub"] = LOADERS["torch.package"] = {"load", "PackageImporter"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
SAFE = {
    "numpy.load": lambda words: words.get("allow_pickle") is False,
    "torch.load": lambda words: words.get("weights_only") is True,
    "yaml.load": lambda words: words.get("Loader") in ("SafeLoader", "CSafeLoader"),
}


def dangers(source: str) -> list[str]:
    """Calls in a source that may run what a file holds, with their lines."""
    tree, names = ast.parse(source), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                names[bound] = alias.name if alias.asname else bound
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            module, _, attribute = _dotted(node, names).rpartition(".")
            called = f"{module}.{attribute}"
            if attribute in LOADERS.get(module, ()) and called not in SAFE:
                found.append(f"{called} in line {node.lineno}")
        if not isinstance(node, ast.Call):
            continue
        called = _dotted(node.func, names)
        words = {word.arg: _value(word.value) for word in node.keywords}
        if called in SAFE and not SAFE[called](words):
            found.append(f"{called} without its safe setting in line {node.lineno}")
        if words.get("shell") not in (None, False):
            found.append(f"shell in line {node.lineno}")
        if words.get("allow_pickle") not in (None, False):
            found.append(f"allow_pickle in line {node.lineno}")
        if called in BUILTINS and called not in names:
            found.append(f"{called} in line {node.lineno}")
        if isinstance(node.func, ast.Attribute) and node.func.attr in ("extractall", "extract"):
            found.append(f"{node.func.attr} in line {node.lineno}")
    return found


def _dotted(node, names) -> str:
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([names.get(node.id, node.id), *reversed(parts)])


def _value(node):
    if isinstance(node, ast.Constant):
        return node.value
    return getattr(node, "attr", getattr(node, "id", "computed"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_read_is_run(path):
    assert dangers(path.read_text(encoding="utf-8")) == []


def test_all_rooms_are_read():
    rooms = {path.relative_to(ROOT).parts[0] for path in FILES}
    assert rooms == {"mixnet_core", "baselines", "benchmarks", "results"} and len(FILES) > 100


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "import pickle as p\np.loads(x)",
        "from pickle import loads",
        "from pickle import loads as read\nread(x)",
        "import pickle\nread = pickle.loads\nread(x)",
        "import torch\ntorch.load(p)",
        "import torch\ntorch.load(p, weights_only=False)",
        "import torch\ntorch.load(p, weights_only=safe)",
        "from torch import load\nload(p)",
        "import numpy as np\nnp.load(p)",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "import numpy as np\nnp.load(p, allow_pickle=flag)",
        "import numpy\nnumpy.load(p)",
        "from numpy.lib import format\nformat.read_array(f, allow_pickle=True)",
        "import yaml\nyaml.load(t)",
        "import yaml\nyaml.load(t, Loader=yaml.Loader)",
        "eval(text)",
        "exec(text)",
        "compile(text, 'x', 'exec')",
        "__import__(name)",
        "import subprocess\nsubprocess.run(c, shell=True)",
        "import os\nos.system(c)",
        "import subprocess\nsubprocess.run(c, shell=flag)",
        "import pandas as pd\npd.read_pickle(p)",
        "import tarfile\ntarfile.open(p).extractall(d)",
        "archive.extract(m)",
        "import joblib\njoblib.load(p)",
        "import shutil\nshutil.unpack_archive(p)",
        "import torch\ntorch.jit.load(p)",
    ],
)
def test_each_danger_is_seen(source):
    found = dangers(source)
    if source == "from pickle import loads":  # an import alone runs nothing
        assert not found
    else:
        assert found


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load(p, map_location='cpu', weights_only=True)",
        "import numpy as np\nnp.load(p, allow_pickle=False)\nnp.save(p, x, allow_pickle=False)",
        "import yaml\nyaml.load(t, Loader=yaml.SafeLoader)\nyaml.safe_load(t)",
        "model.eval()",
        "import re\nre.compile('x')",
        "import json\njson.load(f)",
        "import subprocess\nsubprocess.run(['a'], check=True)",
        "import pickle\npickle.dumps(x)",
        "import ast\nast.literal_eval(x)",
    ],
)
def test_what_is_harmless_passes(source):
    assert dangers(source) == []
