"""What both GPU peers do around their work: prepare early, then wait for requests, so that only measuring takes time of its own."""

import faulthandler
import json
import select
import signal
import sys
import time

BEGAN = time.perf_counter()
# Whoever waits in vain asks where this hangs.
faulthandler.register(signal.SIGUSR1, all_threads=True)


def work(units, prepare, answer, release=lambda: None):
    """Calls `prepare(*unit)` for each unit until the first request, then `answer(request)`, which yields everything so far again and again.

    Requests are lines of JSON on standard input, answers on standard output: {"unit": …}, {"ready": seconds}, {"found": …}, {"done": true}.
    """
    say(imported=time.perf_counter() - BEGAN)
    for unit in units:
        if select.select([sys.stdin], [], [], 0)[0]:
            break
        began, failure = time.perf_counter(), {}
        try:
            prepare(*unit)
        except Exception as error:  # The request may be for others.
            failure = {"failure": described(error)}
        say(unit=" ".join(map(str, unit)), seconds=time.perf_counter() - began, **failure)
    say(ready=time.perf_counter() - BEGAN)
    for line in sys.stdin:
        try:
            # What is printed counts when time cuts this off.
            for found in answer(**json.loads(line)):
                say(found=found)
        except Exception as error:
            say(found={"error": described(error)})
        say(done=True)
        release()


def say(**line):
    print(json.dumps(line), flush=True)


def described(error):
    return f"{type(error).__name__}: {str(error)[-2000:]}"
