"""What the tests share: the runtime's own models and audio, and programs in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import leitmotif
import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
DATA = CHECKOUT / "runtime" / "tests" / "data"
MODEL = DATA / "tiny.clip.onnx"
SONG = DATA / "audio" / "mtat.mp3"
STEREO = DATA / "audio" / "s16.flac"

assert CHECKOUT not in Path(leitmotif.__file__).parents, "the tests are of the installed wheel"


@pytest.fixture(scope="session")
def recognizer() -> leitmotif.Recognizer:
    return leitmotif.Recognizer(MODEL, device="cpu")


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment of no variable that could name a library."""
    for name in ("ORT_DYLIB_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH"):
        monkeypatch.delenv(name, raising=False)
    return dict(os.environ)


Program = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """Starts a program with MODEL, SONG and `leitmotif` at hand, in a folder of its own; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str) -> subprocess.Popen[str]:
        file = tmp_path / "program.py"
        head = f"import leitmotif\nMODEL, SONG = {str(MODEL)!r}, {str(SONG)!r}\n"
        file.write_text(head + textwrap.dedent(text))
        pipe = subprocess.PIPE
        line = [sys.executable, str(file)]
        started.append(subprocess.Popen(line, stdout=pipe, stderr=pipe, text=True, cwd=tmp_path))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], said: str = "") -> str:
    """What a program printed, after `said`, once it has ended well."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return said + out
