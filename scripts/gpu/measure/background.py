"""Peers in the background: they import, compile and warm up beside what is not timed, and wait until they are asked to measure."""

import json
import os
import signal
import subprocess
import threading
import time

from outcome import Failed, tail

# So that all compilers together take the machine's cores once.
COMPILER_THREADS = 4
# For a peer to say where it hangs.
LAST_WORDS_SECONDS = 1


class Peer:
    """A peer's process; `ask` has it measure."""

    def __init__(self, run, name, script, units, *settings):
        self.run, self.name = run, name
        self.began, self.preparation, self.ready, self.answer, self.state = run.now(), [], None, None, "preparing"
        self.changed = threading.Condition()
        how = ("--device", run.sizes.device, "--classes", run.sizes.artists, *settings)
        self.words = [str(word) for word in (run.python, run.bundle / "peers" / script, json.dumps(units), *how)]
        # A file, because nobody reads its errors until it ends.
        self.errors = run.work / f"{name}.stderr"
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(run.work / "inductor"), "TORCHINDUCTOR_COMPILE_THREADS": str(COMPILER_THREADS)}
        with open(self.errors, "w", encoding="utf-8") as errors:
            # It ends when its input does, so also when this program is killed; a session of its own, to be killed with its children.
            streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": errors}
            self.child = subprocess.Popen(self.words, **streams, text=True, errors="replace", env=environment, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.child.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            with self.changed:
                if "found" in said:
                    self.answer = said["found"]
                elif "done" in said:
                    self.state = "waiting"
                elif "ready" in said:
                    self.ready = said["ready"]
                    # Else a request is there already.
                    self.state = "waiting" if self.state == "preparing" else self.state
                else:
                    self.preparation.append(said)
                self.changed.notify_all()
        with self.changed:
            self.state = "ended"
            self.changed.notify_all()

    @property
    def preparing(self):
        return self.ready is None and self.state != "ended"

    def ask(self, spare=0, **request):
        """The answer to a request. A peer that exceeds the limit of the part that this thread runs, less `spare` seconds, is killed, and what
        it measured until then counts.
        """
        with self.changed:
            ended, self.answer = self.state == "ended", None
            if not ended:
                self.state = "answering"
                self.child.stdin.write(json.dumps(request) + "\n")
                self.child.stdin.flush()
                self.changed.wait_for(lambda: self.state != "answering", max(1, self.run.ends - self.run.now() - LAST_WORDS_SECONDS - spare))
            state, answer = self.state, self.answer
        if state == "answering":
            self.stop()
        if answer is None:
            what = "ended" if state == "ended" else "did not compile" if self.ready is None else "did not answer"
            text = self.errors.read_text(errors="replace")
            # Where its main thread was, innermost first.
            text = text.partition("Current thread")[2][:1500] or tail(text)
            raise Failed(f"{self.name} {what} in {self.run.now() - self.began:.1f} s; so far {self.preparation}; its errors: {text}")
        return {**answer, "preparation": [*self.preparation, {"ready": self.ready}]}

    def stop(self):
        """Kills the peer, its children and its memory on the GPU; a busy one first says where it is."""
        if self.child.poll() is None and self.state != "waiting":
            self.child.send_signal(signal.SIGUSR1)
            time.sleep(LAST_WORDS_SECONDS)
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()
        self.reader.join()
        for pipe in (self.child.stdin, self.child.stdout):
            pipe.close()
        self.run.log_only(f"$ {' '.join(self.words)}\n{self.errors.read_text(errors='replace')}")


def preset(run, network):
    return str(run.bundle / "presets" / f"{network}.toml")


class Peers:
    """All of them by name."""

    def __init__(self, run):
        self.run, self.started = run, {}

    def units(self, pairs, modes, *more):
        """Every mode of every pair of network and head, with each of `more`."""
        pairs = [(preset(self.run, network), head) for network, head in pairs]
        return [[*pair, mode, *each] for pair in pairs for mode in modes for each in more or [()]]

    def get(self, name):
        """The peer of that name, started now unless it runs."""
        if not self.runs(name):
            script, units, settings = self.plan()[name]
            self.started[name] = Peer(self.run, name, script, units, *settings)
        return self.started[name]

    def runs(self, name):
        return name in self.started and self.started[name].state != "ended"

    def plan(self):
        """By name: script, units and settings. One process for all that is not compiled; one for each compiled mode, as compiling takes long."""
        sizes = self.run.sizes
        first, others = (sizes.timed[0].network, sizes.timed[0].head), sizes.peers_too
        batch, batches = ("--batch", sizes.batch), [(batch,) for batch in sizes.compiled_batches]
        train = {"train": [*self.units([first], sizes.modes), *self.units(others, sizes.modes[:1])]}
        train |= {f"train {mode}": self.units([first], [mode]) for mode in sizes.compiled}
        serve = {"serve": self.units([(network, head) for network, head, _ in sizes.served], sizes.serve_modes, *batches)}
        serve |= {f"serve {mode}": self.units([first], [mode], *batches) for mode in sizes.serve_compiled}
        plan = {name: ("gpu_train.py", units, batch) for name, units in train.items()}
        return plan | {name: ("gpu_serve.py", units, ()) for name, units in serve.items()}

    def start(self, kinds):
        for name in self.plan():
            if name.split()[0] in kinds:
                self.get(name)

    def preparing(self):
        return [name for name, peer in self.started.items() if peer.preparing]

    def stop(self, kind=""):
        for name, peer in self.started.items():
            if name.startswith(kind) and peer.child.returncode is None:
                peer.stop()
