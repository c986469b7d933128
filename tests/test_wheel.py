"""The wheel: what is in it, and that it works in an environment without the checkout."""

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest
from helpers import small

import patchrl

ROOT = Path(__file__).parents[1]
MAX_MB = 15
START_TIMEOUT = 120  # seconds

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel; built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "patchrl", source / "patchrl", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "-w", str(folder), str(source)], check=True, cwd=folder)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """Runs `patchrl` of a fresh environment that has the wheel, and shares the dependencies that are installed here."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    purelib, scripts = (
        Path(sysconfig.get_path(name, "venv", vars={"base": str(folder), "platbase": str(folder)}))
        for name in ("purelib", "scripts")
    )
    # Site folders named in a .pth file come last, and their own .pth files, such as an editable install's, are not read.
    (purelib / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    python = scripts / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--force-reinstall", str(wheel)], check=True, cwd=folder)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    env |= {"PATCHRL_RUNS_DIR": str(folder / "runs"), "HF_HUB_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False"}
    where = [str(python), "-c", "import patchrl; print(patchrl.__file__)"]
    location = subprocess.run(where, capture_output=True, text=True, cwd=folder, env=env, check=True).stdout.strip()
    assert Path(location).is_relative_to(purelib)
    return [str(scripts / "patchrl")], {"cwd": folder, "env": env, "text": True}


def output(installed, *arguments) -> str:
    command, options = installed
    done = subprocess.run([*command, *arguments], capture_output=True, timeout=600, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_has_what_the_package_needs_and_nothing_of_the_labs_research(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    kept = {"patchrl/config/presets/nano-quick.toml", "patchrl/nano/backbone/model.safetensors", "patchrl/ui/page.css"}
    assert kept <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"patchrl", f"patchrl-{patchrl.__version__}.dist-info"}
    assert not [name for name in names if "nano_lab" in name or name.endswith(("dial.jsonl", "test.py"))]
    checkout = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "patchrl").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert checkout <= set(names), "package-data in pyproject.toml misses files"
    assert wheel.stat().st_size <= MAX_MB * 1e6


def test_version_check_and_the_quick_study_by_its_name(installed):
    assert output(installed, "--version").strip() == f"patchrl {patchrl.__version__}"
    assert "ready to run" in output(installed, "check", "nano-quick")
    text = output(installed, "run", "nano-quick", *small.options())
    assert "RL rewrite (PatchRL)" in text and "report.html" in text


def test_the_page_is_served(installed):
    command, options = installed
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [*command, "ui", "--port", str(port)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            assert process.poll() is None, process.stdout.read()
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode()
                break
            except OSError:
                assert time.monotonic() < deadline, "the page did not answer"
                time.sleep(0.2)
        assert "PatchRL" in page
    finally:
        process.terminate()
        process.wait(20)
