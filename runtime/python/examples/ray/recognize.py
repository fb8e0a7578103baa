#!/usr/bin/env python3
"""Recognises a list of recordings with Ray Data: a pool of workers, each with the model open once, and Parquet out.

    python recognize.py --model artists.clip.onnx --files files.txt --out answers

The list is text, a path on each line, or Parquet with a column `path` and, if wanted, `id`. `answers/` gets one row a recording:
`id`, `path`, `artist` (null where it is none of the model's), `ranking`, `unknown`, `seconds`, `error`. Whatever ended the last
call, the same call goes on: ids that have a row are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import re
import sys
import time
import uuid
from pathlib import Path

import leitmotif
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray

from rows import SCHEMA, Attempts, error_row, row, write_rows

MODEL = "model.json"
SECONDS_BETWEEN_LINES = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, type=Path, help="a leitmotif model that takes whole recordings")
    parser.add_argument("--files", required=True, type=Path, help="the list: text, or Parquet (.parquet)")
    parser.add_argument("--out", required=True, type=Path, help="folder of the answers, which every worker can write")
    parser.add_argument("--address", help="a running cluster, such as `auto` (default: workers on this machine)")
    parser.add_argument("--workers", type=positive, help="workers, each with the model open (default: one for every --threads of the cluster's cores)")
    parser.add_argument("--threads", type=positive, default=1, help="cores of a worker (default: %(default)s)")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of a worker, such as 1 or 0.25 (default: %(default)s)")
    parser.add_argument("--batch", type=positive, default=16, help="recordings of one file of answers (default: %(default)s)")
    parser.add_argument("--top", type=positive, default=5, help="artists in a ranking (default: %(default)s)")
    given = parser.parse_args()
    try:
        return run(given)
    except KeyboardInterrupt:
        print("recognize.py: stopped; the rows so far are kept, and the same call goes on from there", file=sys.stderr)
        return 130
    except (UsageError, leitmotif.LeitmotifError, OSError, pa.ArrowInvalid, ray.exceptions.RayError) as error:
        print(f"recognize.py: {reason(error)}", file=sys.stderr)
        return 1


def reason(error: BaseException) -> str:
    """What the worker reported, without Ray's own frames."""
    if not isinstance(error, ray.exceptions.RayError):
        return str(error)
    texts, cause = [], error
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__
    lines = "\n".join(texts).splitlines()
    reported = [line for line in lines if re.match(r"(?!ray\.)[\w.]+(Error|Exception): ", line)]
    return (reported or [line for line in lines if line.strip()] or [type(error).__name__])[-1]


class UsageError(Exception):
    """What the caller can put right."""


def run(given: argparse.Namespace) -> int:
    model = given.model.read_bytes()
    # A model that cannot be used is refused here, and not by each worker.
    leitmotif.Recognizer(given.model, device="cpu")
    listed = read_list(given.files)
    begin(given.out, model, given.top)
    done = ids_with_rows(given.out)
    todo = listed.filter(pa.array([name not in done for name in listed.column("id").to_pylist()], pa.bool_()))
    print(f"{listed.num_rows} recordings, {listed.num_rows - todo.num_rows} have a row, {todo.num_rows} to do", flush=True)
    began = time.monotonic()
    if todo.num_rows:
        recognize(todo, model, given)
    return summary(given.out, listed, todo.num_rows, time.monotonic() - began)


def recognize(todo: pa.Table, model: bytes, given: argparse.Namespace) -> None:
    ray.init(address=given.address, log_to_driver=False, logging_level="warning")
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    ray.data.DataContext.get_current().enable_progress_bars = False
    cores = int(ray.cluster_resources().get("CPU", 1))
    workers = given.workers or max(1, cores // given.threads)
    batches = [todo.slice(start, given.batch) for start in range(0, todo.num_rows, given.batch)]
    answers = ray.data.from_arrow(batches).map_batches(
        Worker,
        fn_constructor_kwargs={
            # One copy a machine, in Ray's store: every worker has these very bytes, wherever it runs.
            "model": [ray.put(model)],
            "out": str(given.out.resolve()),
            "call": uuid.uuid4().hex,
            "top": given.top,
            "threads": given.threads,
            "device": "cuda" if given.gpus else "cpu",
        },
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(batches))),
        num_cpus=given.threads,
        num_gpus=given.gpus,
    )
    # The rows are on disk; what comes back is how many.
    began = shown = time.monotonic()
    done = 0
    for batch in answers.iter_batches(batch_size=None, batch_format="pyarrow"):
        done += sum(batch.column("rows").to_pylist())
        now = time.monotonic()
        if now - shown >= SECONDS_BETWEEN_LINES:
            shown, rate = now, done / (now - began)
            print(f"{done} of {todo.num_rows}, {rate:.2f}/s, {(todo.num_rows - done) / rate / 60:.0f} min left", flush=True)


class Worker:
    """Opens the model once, then recognises batch after batch. Ray starts it anew where it dies, and repeats its batch."""

    def __init__(self, model: list[ray.ObjectRef], out: str, call: str, top: int, threads: int, device: str) -> None:
        # A device that is not there is an error, never a slower one in silence.
        self.recognizer = leitmotif.Recognizer(ray.get(model[0]), threads=threads, device=device, device_policy="strict" if device != "cpu" else "warn")
        self.failures = (leitmotif.LeitmotifError, OSError)
        self.out, self.call, self.top = Path(out), call, top

    def __call__(self, batch: pa.Table) -> pa.Table:
        named = batch.select(["id", "path"]).to_pylist()
        attempts = Attempts(self.out, [one["id"] for one in named], self.call)
        rows = []
        for one in named:
            if attempts.killed(one["id"]):
                rows.append(error_row(one, "the process that decoded or recognised it died, twice"))
                continue
            attempts.begin(one["id"])
            try:
                rows.append(row(one, self.recognizer.recognize(one["path"], top=self.top, timeline=False)))
            except self.failures as error:
                rows.append(error_row(one, str(error)))
        write_rows(self.out, rows)
        attempts.end()
        return pa.table({"rows": [len(rows)]})


def read_list(path: Path) -> pa.Table:
    """The columns `id` and `path`, each id once."""
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        if "path" not in table.column_names:
            raise UsageError(f"{path}: there is no column `path`, only {', '.join(table.column_names)}")
        paths = table.column("path").cast(pa.string())
        ids = table.column("id").cast(pa.string()) if "id" in table.column_names else paths
        listed = pa.table({"id": ids, "path": paths})
    else:
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: the list is not UTF-8 text ({error.reason} at byte {error.start})") from error
        # Names may hold every other character that Python counts as the end of a line.
        lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
        listed = pa.table({"id": pa.array(lines, pa.string()), "path": pa.array(lines, pa.string())})
    if not listed.num_rows:
        raise UsageError(f"{path}: the list is empty")
    if listed.column("id").null_count or listed.column("path").null_count:
        raise UsageError(f"{path}: rows without an id or a path; fill them or take them out")
    seen: set[str] = set()
    twice = {name for name in listed.column("id").to_pylist() if name in seen or seen.add(name)}
    if twice:
        raise UsageError(f"{path}: {len(twice)} ids appear more than once, such as `{min(twice)}`; each needs an id of its own")
    # Workers run in folders of their own.
    absolute = [name if "://" in name else os.path.abspath(name) for name in listed.column("path").to_pylist()]
    return listed.set_column(1, "path", pa.array(absolute, pa.string()))


def begin(out: Path, model: bytes, top: int) -> None:
    """Makes the folder of the answers, or checks that those in it are of this model."""
    settings = {"model_sha256": hashlib.sha256(model).hexdigest(), "top": top}
    out.mkdir(parents=True, exist_ok=True)
    for left in [*out.glob("*.attempts"), *out.glob("*.part")]:
        # Of a call that was killed.
        left.unlink(missing_ok=True)
    record = out / MODEL
    if record.exists():
        try:
            before = dict(json.loads(record.read_text("utf-8")))
        except ValueError as error:
            raise UsageError(f"{record}: damaged ({error}); give another --out") from error
        for name, value in settings.items():
            if before.get(name) != value:
                raise UsageError(f"{out}: its answers are of {name} {before.get(name)}, not {value}; give another --out")
        return
    part = record.with_suffix(".part")
    part.write_text(json.dumps(settings), "utf-8")
    part.rename(record)


def ids_with_rows(out: Path) -> set[str]:
    return set(rows_of(out, ["id"]).column("id").to_pylist())


def rows_of(out: Path, columns: list[str] | None = None) -> pa.Table:
    files = sorted(out.glob("*.parquet"))
    return pq.read_table(files, columns=columns, schema=SCHEMA) if files else SCHEMA.empty_table()


def summary(out: Path, listed: pa.Table, recognised: int, seconds: float) -> int:
    rows = rows_of(out, ["id", "error"])
    rows = rows.filter(pc.is_in(rows.column("id"), value_set=listed.column("id").combine_chunks()))
    errors = rows.filter(pc.is_valid(rows.column("error")))
    rate = f", {recognised / seconds:.2f} recordings/s with starting" if recognised else ""
    print(f"{rows.num_rows} rows, {errors.num_rows} of them errors{rate}")
    for one in errors.slice(0, 5).to_pylist():
        print(f"  {one['id']}: {one['error']}", file=sys.stderr)
    if errors.num_rows > 5:
        print(f"  and {errors.num_rows - 5} more: the column `error`", file=sys.stderr)
    return 0 if rows.num_rows == listed.num_rows else 1


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


if __name__ == "__main__":
    sys.exit(main())
