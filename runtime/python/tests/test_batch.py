"""Batches keep the order, tell how far they are, and keep what is done when they end early."""

from __future__ import annotations

import io
import signal
import time
from pathlib import Path
from typing import Any

import leitmotif
import numpy as np
import pytest
from conftest import DATA, SONG, STEREO, Program, ended

FILES: list[Path] = [SONG, STEREO, DATA / "audio" / "mono.ogg"] * 4


def test_a_batch_has_the_answers_of_single_calls_in_their_order(recognizer: leitmotif.Recognizer) -> None:
    expected = [recognizer.recognize(file).artists for file in FILES]
    for jobs in (None, 1, 3):
        answers = recognizer.recognize_batch(FILES, jobs=jobs, errors="raise")
        assert [answer.artists for answer in answers] == expected
        assert [answer.source for answer in answers] == [str(file) for file in FILES]
    assert recognizer.recognize_batch([]) == []


def test_a_file_without_an_answer_has_an_exception_in_its_place(recognizer: leitmotif.Recognizer) -> None:
    given: list[Any] = [SONG, "gone.mp3", 7, SONG]
    answers = recognizer.recognize_batch(given)
    assert isinstance(answers[0], leitmotif.Answer) and isinstance(answers[3], leitmotif.Answer)
    assert isinstance(answers[1], leitmotif.AudioNotFoundError)
    assert isinstance(answers[2], TypeError)
    with pytest.raises(FileNotFoundError, match=r"gone\.mp3") as caught:
        recognizer.recognize_batch([SONG, "gone.mp3"], errors="raise")
    assert len(vars(caught.value)["results"]) == 2


def test_arrays_have_one_rate(recognizer: leitmotif.Recognizer) -> None:
    arrays = [np.full(30_000, level, np.float32) for level in (0.1, 0.2)]
    answers = recognizer.recognize_batch(iter(arrays), rate=22_050, errors="raise")
    assert [answer.artists for answer in answers] == [recognizer.recognize(a, rate=22_050).artists for a in arrays]


def test_progress_is_a_bar_its_class_or_a_function(recognizer: leitmotif.Recognizer) -> None:
    reported: list[tuple[int, int]] = []
    numbers: list[int] = []
    recognizer.recognize_batch(
        FILES, progress=lambda done, count: reported.append((done, count)), on_result=lambda n, _: numbers.append(n)
    )
    assert reported == [(done, len(FILES)) for done in range(1, len(FILES) + 1)]
    assert sorted(numbers) == list(range(len(FILES)))

    class Bar:
        n = 0

        def update(self, n: int) -> None:
            self.n += n

    class Made(Bar):
        def __init__(self, total: int) -> None:
            made.append(self)
            self.total, self.closed = total, False

        def close(self) -> None:
            self.closed = True

    made: list[Made] = []
    recognizer.recognize_batch(FILES, progress=Made)
    assert [(bar.n, bar.total, bar.closed) for bar in made] == [(len(FILES), len(FILES), True)]

    bar = Bar()
    recognizer.recognize_batch(FILES, progress=bar)
    assert bar.n == len(FILES)


def test_an_error_of_a_function_ends_the_batch_and_keeps_what_is_done(recognizer: leitmotif.Recognizer) -> None:
    def stop(done: int, count: int) -> None:
        if done == 2:
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough") as caught:
        recognizer.recognize_batch(FILES * 100, progress=stop, jobs=1)
    results = vars(caught.value)["results"]
    assert isinstance(results[0], leitmotif.Answer)
    assert isinstance(results[-1], leitmotif.CancelledError)


def test_what_is_no_batch(recognizer: leitmotif.Recognizer) -> None:
    call: Any = recognizer.recognize_batch
    for odd in (str(SONG), b"bytes", bytearray(2), memoryview(b"bytes"), io.BytesIO(SONG.read_bytes()), 7):
        with pytest.raises(TypeError, match=r"a batch is a list of recordings, \[recording\]; one goes to `recognize`"):
            call(odd)
    with pytest.raises(TypeError, match="`progress` is tqdm, a bar"):
        call(FILES, progress=7)
    with pytest.raises(leitmotif.OptionError, match='use "return" or "raise"'):
        call(FILES, errors="ignore")


def test_a_token_ends_a_batch(recognizer: leitmotif.Recognizer) -> None:
    cancel = leitmotif.CancelToken()
    given = FILES * 1_000
    answers = recognizer.recognize_batch(given, cancel=cancel, on_result=lambda n, _: cancel.cancel(), jobs=1)
    assert isinstance(answers[0], leitmotif.Answer)
    assert isinstance(answers[-1], leitmotif.CancelledError)
    answers = recognizer.recognize_batch(FILES, cancel=cancel)
    assert [type(answer) for answer in answers] == [leitmotif.CancelledError] * len(FILES)


def test_results_wait_for_a_slow_reader(recognizer: leitmotif.Recognizer) -> None:
    begun = 0

    class Counted:
        def __fspath__(self) -> str:
            nonlocal begun
            begun += 1
            return str(SONG)

    def slow(done: int, count: int) -> None:
        time.sleep(1)
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        recognizer.recognize_batch([Counted()] * 10_000, progress=slow, jobs=1)
    assert begun < 50


def test_ctrl_c_ends_a_batch_with_what_is_done(program: Program) -> None:
    process = program("""
        recognizer = leitmotif.Recognizer(MODEL, device="cpu")
        first = lambda done, count: done == 3 and print("running", flush=True)
        try:
            recognizer.recognize_batch([SONG] * 1_000_000, progress=first)
        except KeyboardInterrupt as stopped:
            done = [type(result).__name__ for result in stopped.results]
            print(done.count("Answer") >= 3, done[-1], len(done))
            print(recognizer.recognize(SONG).best.artist)
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    lines = ended(process).splitlines()
    assert lines[0] == "True CancelledError 1000000"
    assert len(lines) == 2, "the recognizer can be used after it"


def test_ctrl_c_ends_a_single_call(program: Program) -> None:
    process = program("""
        import numpy
        samples = numpy.random.default_rng(1).uniform(-0.5, 0.5, 16_000 * 3_600).astype("float32")
        recognizer = leitmotif.Recognizer(MODEL, device="cpu")
        try:
            print("running", flush=True)
            recognizer.recognize(samples, rate=16_000, hop=1, timeline=False)
        except KeyboardInterrupt:
            print("interrupted")
    """)
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    process.send_signal(signal.SIGINT)
    assert ended(process) == "interrupted\n"
