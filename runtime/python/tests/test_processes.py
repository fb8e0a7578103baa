"""ONNX Runtime is found without being imported, and processes share models by their paths."""

from __future__ import annotations

import pickle
from pathlib import Path

import leitmotif
import pytest
from conftest import MODEL, SONG, Program, ended


def test_the_library_is_that_of_this_python_and_not_imported(clean: dict[str, str], program: Program) -> None:
    process = program("""
        import importlib.util, pathlib, sys
        leitmotif.Recognizer(MODEL, device="cpu").recognize(SONG)
        heavy = {"onnxruntime", "pandas", "html"} & set(sys.modules)
        assert not heavy, heavy
        package = pathlib.Path(importlib.util.find_spec("onnxruntime").origin).parent
        assert pathlib.Path(leitmotif.runtime_info().library).parent == package / "capi"
        import onnxruntime
        onnxruntime.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
        print(leitmotif.Recognizer(MODEL, device="cpu").recognize(SONG).segments > 0)
    """)
    assert ended(process) == "True\n"


def test_a_missing_library_is_an_error_that_says_what_to_install(clean: dict[str, str], program: Program) -> None:
    process = program("""
        # As if it were not installed.
        import importlib.util
        real = importlib.util.find_spec
        importlib.util.find_spec = lambda name, package=None: None if name == "onnxruntime" else real(name, package)
        for call in (lambda: leitmotif.Recognizer(MODEL), leitmotif.runtime_info):
            try:
                call()
            except leitmotif.RuntimeLibraryError as error:
                assert isinstance(error, OSError)
                print(error)
    """)
    said = ended(process).splitlines()
    assert len(said) == 2
    assert all("has no package `onnxruntime`; `pip install onnxruntime`" in line for line in said)


def test_a_named_library_is_taken_or_refused(clean: dict[str, str], program: Program, tmp_path: Path) -> None:
    (tmp_path / "libonnxruntime.so").write_text("no library")
    process = program("""
        import os, pathlib
        library = str(pathlib.Path("libonnxruntime.so").absolute())
        for name in (library, os.getcwd(), "/nowhere"):
            try:
                leitmotif.Recognizer(MODEL, onnxruntime=name)
            except leitmotif.RuntimeLibraryError as error:
                print(error)
        os.environ["ORT_DYLIB_PATH"] = library
        try:
            leitmotif.Recognizer(MODEL)
        except leitmotif.RuntimeLibraryError as error:
            print(error)
    """)
    said = ended(process).splitlines()
    assert len(said) == 4
    for line in (said[0], said[1], said[3]):
        assert "libonnxruntime.so" in line and "cannot be used as ONNX Runtime" in line
    assert "there is no file" in said[2] and "pip install onnxruntime" in said[2]


def test_a_recognizer_is_pickled_by_its_path_and_options(recognizer: leitmotif.Recognizer) -> None:
    original = leitmotif.Recognizer(MODEL, device="cpu", sessions=3)
    copy = pickle.loads(pickle.dumps(original))
    assert (copy.path, copy.sessions) == (original.path, 3)
    assert copy.recognize(SONG).artists == original.recognize(SONG).artists
    with pytest.raises(TypeError, match="opened from bytes cannot be pickled: open it by its path"):
        pickle.dumps(leitmotif.Recognizer(MODEL.read_bytes(), device="cpu"))


def test_a_relative_library_is_pickled_as_an_absolute_path(
    recognizer: leitmotif.Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Path(leitmotif.runtime_info().library)
    monkeypatch.chdir(library.parent.parent)
    original = leitmotif.Recognizer(MODEL, device="cpu", onnxruntime=f"{library.parent.name}/{library.name}")
    assert original.__getnewargs_ex__()[1]["onnxruntime"] == library
    monkeypatch.chdir("/")
    assert pickle.loads(pickle.dumps(original)).recognize(SONG).artists == recognizer.recognize(SONG).artists


def test_workers_that_are_started_anew_recognise(program: Program) -> None:
    process = program("""
        import multiprocessing, functools
        def work(recognizer, song):
            return recognizer.recognize(song)
        if __name__ == "__main__":
            recognizer = leitmotif.Recognizer(MODEL, device="cpu", threads=1)
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                answers = pool.map(functools.partial(work, recognizer), [SONG, SONG])
            print(answers[0].artists == answers[1].artists == recognizer.recognize(SONG).artists)
    """)
    assert ended(process) == "True\n"


def test_a_fork_of_a_process_with_a_model_gets_an_error(program: Program) -> None:
    process = program("""
        import os, sys
        recognizer = leitmotif.Recognizer(MODEL, device="cpu")
        def child():
            for call in (lambda: recognizer.recognize(SONG), lambda: leitmotif.Recognizer(MODEL)):
                try:
                    call()
                except leitmotif.ForkError as error:
                    print(error, flush=True)
        pid = os.fork()
        if pid == 0:
            try:
                child()
            finally:
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print(len(leitmotif.decode(SONG)) > 0, recognizer.recognize(SONG).segments > 0)
    """)
    said = ended(process).splitlines()
    assert said[2:] == ["True True"]
    assert all('"spawn" or "forkserver"' in line for line in said[:2])


def test_a_fork_before_the_first_model_recognises(program: Program) -> None:
    process = program("""
        import multiprocessing
        def work(song):
            return leitmotif.Recognizer(MODEL, device="cpu").recognize(song).segments > 0
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(work, [SONG] * 4))
    """)
    assert ended(process) == "[True, True, True, True]\n"


def test_threads_share_a_recognizer(recognizer: leitmotif.Recognizer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    expected = recognizer.recognize(SONG).artists
    with ThreadPoolExecutor(8) as pool:
        assert all(answer.artists == expected for answer in pool.map(recognizer.recognize, [SONG] * 40))


def test_a_program_that_ends_while_threads_recognise_ends_well(program: Program) -> None:
    process = program("""
        import threading
        recognizer = leitmotif.Recognizer(MODEL, device="cpu")
        def loop():
            while True:
                recognizer.recognize(SONG)
        for _ in range(3):
            threading.Thread(target=loop, daemon=True).start()
        recognizer.recognize_batch([SONG] * 20)
        print("ends")
    """)
    assert ended(process) == "ends\n"
