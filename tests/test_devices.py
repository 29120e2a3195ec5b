"Memory that goes back to the system."

import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from cadl_flax.devices import trim_memory

IN_PIECES = """
import os
from pathlib import Path
import numpy as np
from cadl_flax.devices import trim_memory

def mebibytes():
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

arrays = [np.ones(2**13) for _ in range(2000)]
made = mebibytes()
del arrays[::2]
trim_memory()
print(made - mebibytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what a process holds is read as on Linux")
def test_memory_in_pieces_goes_back_to_the_system():
    "Every second of two thousand arrays of 64 kB, in a process of its own."
    line = [sys.executable, "-c", IN_PIECES]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert float(done.stdout) > 50


def test_a_library_that_cannot_be_asked_is_not(monkeypatch):
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    trim_memory()
