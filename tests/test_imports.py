"""Imports run downwards only, and the doors open without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "patchrl"
# From the bottom up. What stands here imports from its own package and from those before it, lazily or not.
ORDER = (
    *("version", "errors", "types", "text"),
    *("config", "nano", "recordings", "everyday", "models", "grading", "data", "rewards", "runs"),
    *("rewriting", "training", "evaluation", "reporting", "pipeline", "jobs"),
    *("playground", "api", "ui", "cli", "__init__", "__main__"),
)


def imported(path: Path) -> set[str]:
    """What a module imports of patchrl, by package; `__init__` where it imports the root itself."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    parts = [name.split(".") for name in names if name.split(".")[0] == "patchrl"]
    return {part[1] if part[1:] and part[1] in ORDER else "__init__" for part in parts}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    upwards = {name for name in imported(path) if ORDER.index(name) > ORDER.index(own)}
    assert not upwards, f"{path.relative_to(PACKAGE)} reaches up to {', '.join(upwards)}"


@pytest.mark.parametrize("door", ["patchrl", "patchrl.cli.main", "patchrl.ui.serving"])
def test_doors_open_without_torch(door):
    code = f"import sys, {door}; print([m for m in ('torch', 'transformers', 'trl', 'lm_eval') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lazy_names_of_the_package_all_exist():
    import patchrl

    for name in patchrl.__all__:
        assert getattr(patchrl, name) is not None
