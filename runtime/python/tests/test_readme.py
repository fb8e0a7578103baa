"""The README's transcripts are what Python prints."""

from __future__ import annotations

import doctest
import importlib.util

import pytest
from conftest import CHECKOUT

README = CHECKOUT / "runtime" / "python" / "README.md"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_transcripts_of_the_readme_are_true(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)
    text = README.read_text(encoding="utf-8").replace("```", "\n")
    test = doctest.DocTestParser().get_doctest(text, {}, "README.md", str(README), 0)
    if importlib.util.find_spec("pandas") is None:
        test.examples = [example for example in test.examples if "pandas" not in example.source]
    printed: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(test, out=printed.append)
    assert result.attempted > 10
    assert not result.failed, "".join(printed)
