"""Rows of answers in Parquet files, and what is remembered of a batch that is being recognised."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    import leitmotif

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        # Null where the recording is silent, of none of the artists, or not recognised.
        pa.field("artist", pa.string()),
        pa.field("ranking", pa.list_(pa.struct([("artist", pa.string()), ("probability", pa.float64())]))),
        pa.field("unknown", pa.bool_()),
        pa.field("seconds", pa.float64()),
        pa.field("error", pa.string()),
    ]
)

# A worker that dies may have been killed for another reason, such as a machine's end; twice at the same recording is
# that recording's fault.
MOST_DEATHS = 2


def row(of: dict[str, str], answer: leitmotif.Answer) -> dict[str, Any]:
    ranking = [{"artist": one.artist, "probability": one.probability} for one in answer.artists]
    return {**of, "artist": answer.artist, "ranking": ranking, "unknown": answer.unknown, "seconds": answer.seconds, "error": None}


def error_row(of: dict[str, str], error: str) -> dict[str, Any]:
    return {**of, "artist": None, "ranking": None, "unknown": None, "seconds": None, "error": error}


def write_rows(out: Path, rows: list[dict[str, Any]]) -> None:
    """Writes a batch's rows to a file that is named after its ids: a batch that is repeated replaces its own rows."""
    file = out / f"{batch_name([one['id'] for one in rows])}.parquet"
    part = file.with_suffix(".part")
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), part)
    part.rename(file)


def batch_name(ids: list[str]) -> str:
    digest = hashlib.sha256()
    for name in ids:
        digest.update(len(name.encode()).to_bytes(8, "little") + name.encode())
    return digest.hexdigest()[:24]


class Attempts:
    """At which recordings of a batch a worker died, in a file beside its rows: all that a dead worker leaves."""

    def __init__(self, out: Path, ids: list[str], call: str) -> None:
        self.call = call
        self.file = out / f"{batch_name(ids)}.attempts"
        self.deaths: dict[str, int] = {}
        try:
            left = json.loads(self.file.read_text("utf-8"))
        except FileNotFoundError:
            return
        # What ended an earlier call ended its workers, too.
        if left.get("call") != call:
            return
        self.deaths = left["deaths"]
        self.deaths[left["current"]] = self.deaths.get(left["current"], 0) + 1

    def killed(self, name: str) -> bool:
        return self.deaths.get(name, 0) >= MOST_DEATHS

    def begin(self, name: str) -> None:
        part = self.file.with_suffix(".attempts.part")
        part.write_text(json.dumps({"call": self.call, "deaths": self.deaths, "current": name}), "utf-8")
        part.rename(self.file)

    def end(self) -> None:
        self.file.unlink(missing_ok=True)
