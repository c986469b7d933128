"""The figures of the lesson's last page come from the lab's recorded answers."""

import pytest

from examples.nano_lab import trap
from patchrl.ui.trap import TRAP


@pytest.mark.slow
def test_the_shipped_file_is_what_the_script_writes():
    assert TRAP.read_text(encoding="utf-8") == trap.written(), "renew it: python -m examples.nano_lab.trap"
