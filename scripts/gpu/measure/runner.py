"""Runs steps and their parts within their time limits, and writes every result to disk as soon as it is known."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from background import Peers
from outcome import Failed, Skipped, has_error, tail

# A part is not started with less time than this.
LEAST_SECONDS = 5


class Run:
    def __init__(self, bundle, out, work, sizes, minutes, python, steps):
        self.bundle, self.out, self.work, self.sizes, self.minutes, self.python = bundle, out, work, sizes, minutes, python
        self.scale = minutes * 60 / sum(sizes.shares[step] for step in steps)
        self.began = self.now()
        self.allowed = 0.0
        self.part_of = threading.local()
        self.lock = threading.RLock()
        self.log_file = open(out / "log.txt", "a", encoding="utf-8")
        self.peers, self.begun = Peers(self), {}

    @property
    def on_gpu(self):
        return self.sizes.device == "cuda"

    @property
    def ends(self):
        """When the part that this thread runs must have ended."""
        return self.part_of.ends

    @staticmethod
    def now():
        return time.monotonic()

    def step(self, name, function):
        """Runs one step; returns whether all of its parts succeeded."""
        self.allowed += self.sizes.shares[name] * self.scale
        self.step_ends = self.began + self.allowed
        began = self.now()
        self.record = {"step": name, "state": "running", "device": self.sizes.device, "limit_seconds": round(self.step_ends - began, 1), "parts": {}}
        self.write()
        try:
            function(self)
        except Exception as error:  # Between the parts, which catch their own: the other steps go on.
            self.record["parts"]["between parts"] = {"error": f"{type(error).__name__}: {error}"}
        self.record["seconds"] = round(self.now() - began, 2)
        failed = [part for part, result in self.record["parts"].items() if has_error(result)]
        self.record["state"] = f"failed: {', '.join(failed)}" if failed else "done"
        self.write()
        return not failed

    def part(self, name, limit, function, least=LEAST_SECONDS):
        """Runs one part and records its result, or why there is none; returns the result, else None. With `least` 0 it always runs."""
        began = self.now()
        limit = min(limit * max(self.scale, 0.5), self.step_ends - began) if least else limit
        result, outcome = None, "done"
        try:
            if limit < least:
                raise Skipped("out of time")
            self.part_of.ends = began + limit
            result = function()
            recorded = dict(result)
            if "error" in recorded:
                outcome = f"FAILED: {recorded['error'][:300]}"
        except Skipped as reason:
            recorded, outcome = {"skipped": str(reason)}, f"skipped: {reason}"
        except Exception as error:  # Whatever it is, the next part may succeed.
            text = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            recorded, outcome = {"error": text}, f"FAILED: {text[:300]}"
        recorded["seconds"], recorded["limit_seconds"] = round(self.now() - began, 2), round(limit, 1)
        with self.lock:
            self.record["parts"][name] = recorded
            self.write()
        self.log(f"{self.record['step']}: {name} ... {outcome} ({recorded['seconds']:.1f} s)")
        return result

    def together(self, parts):
        """Runs parts (name, limit, function) at once: of programs that start on CUDA most of the time is waiting."""
        with ThreadPoolExecutor(len(parts)) as pool:
            return list(pool.map(lambda part: self.part(*part), parts))

    def as_part(self, function, ends=None):
        """`function` for another thread, within the limit of the part that this thread runs, or until `ends`."""
        ends = ends or self.ends

        def limited(*arguments, **named):
            self.part_of.ends = ends
            return function(*arguments, **named)

        return limited

    def begin(self, name, limit, function):
        """Begins what is not timed in the background, if it has not begun; returns its future."""
        if name not in self.begun:
            pool = ThreadPoolExecutor(1)
            self.begun[name] = pool.submit(self.as_part(function, self.now() + limit))
            pool.shutdown(wait=False)
        return self.begun[name]

    def command(self, *arguments, env=None, limit=float("inf")):
        """Standard output of a command."""
        name, arguments = str(arguments[0]).rsplit("/", 1)[-1], [str(argument) for argument in arguments]
        environment = {**os.environ, **(env or {})}
        # A session of its own, so that its children are killed with it.
        child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=environment, start_new_session=True)
        cut_off = False
        try:
            out, err = child.communicate(timeout=max(1.0, min(limit, self.ends - self.now())))
        except subprocess.TimeoutExpired:
            cut_off = True
            os.killpg(child.pid, signal.SIGKILL)
            out, err = child.communicate()
        self.log_only(f"$ {' '.join(arguments)}\n{err}")
        if cut_off:
            raise Failed(f"{name} did not end in time; its output: {tail(err or out)}")
        if child.returncode != 0:
            raise Failed(f"{name} ended with {child.returncode}: {tail(err or out)}")
        return out

    def program(self, name, *arguments, **how):
        """Standard output of one of our programs."""
        return self.command(self.bundle / "bin" / name, *arguments, **how)

    def json(self, name, *arguments, **how):
        """The JSON that one of our programs prints."""
        return json.loads(self.program(name, *arguments, **how))

    def write(self):
        self.write_json(f"{self.record['step']}.json", self.record)

    def write_json(self, name, value):
        """Completely or not at all, and without other files among the results."""
        temporary = self.work / name
        temporary.write_text(self.without_paths(json.dumps(value, indent=1)) + "\n", encoding="utf-8")
        try:
            temporary.replace(self.out / name)
        except OSError:  # Another file system.
            shutil.move(temporary, self.out / name)

    def without_paths(self, text):
        """The names of folders in the place of this machine's paths: results are published."""
        packages = str(Path(os.environ.get("TORCH_LIB", "/nowhere/nowhere")).parent.parent)
        folders = {str(self.bundle): "BUNDLE", str(self.work): "WORK", str(self.out): "RESULTS", packages: "SITE-PACKAGES", sys.prefix: "PYTHON"}
        for path in sorted(folders, key=len, reverse=True):
            if len(path) > 4:
                text = text.replace(path, folders[path])
        return text

    def log(self, text):
        with self.lock:
            print(f"[{self.now() - self.began:6.1f} s] {text}", flush=True)
            self.log_only(text)

    def log_only(self, text):
        with self.lock:
            self.log_file.write(text + "\n")
            self.log_file.flush()
