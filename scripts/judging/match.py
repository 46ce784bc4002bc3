"""Findings against the truth, by the rules of `slowleak evaluate`, for detectors that it does not know.

A finding meets a leak where intervals overlap and it names the same key, the same user, or the same entity
of the same dimension; it counts for the leak that it overlaps best. Of several the first counts, the others
are duplicates.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

JOINER = " + "


@dataclass(frozen=True)
class Finding:
    dimension: str
    entity: str
    start: int
    end: int
    key: str | None = None
    user: str | None = None

    @classmethod
    def of_series(cls, dimension: str, entity: str, start: int, end: int) -> "Finding":
        """A finding on a series of the rollup: a compound names its key too."""
        named = dict(zip(dimension.split("+"), entity.split(JOINER), strict=False))
        return cls(dimension, entity, start, end, named.get("key"), named.get("user"))


def micros(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 10**6)


def iou(finding: Finding, leak: dict) -> float:
    start, end = micros(leak["start"]), micros(leak["end"])
    both = max(min(end, finding.end) - max(start, finding.start), 0)
    return both / (max(end, finding.end) - min(start, finding.start)) if both else 0.0


def meets(finding: Finding, leak: dict) -> bool:
    same = (
        (finding.key is not None and finding.key == leak["key"])
        or (finding.user is not None and finding.user == leak["user"])
        or (finding.dimension, finding.entity) == (leak["dimension"], leak["entity"])
    )
    return same and finding.start < micros(leak["end"]) and micros(leak["start"]) < finding.end


def judge(findings: list[Finding], leaks: list[dict]) -> dict:
    """What became of each leak, in the words of `slowleak evaluate`; findings come in order of rank."""
    outcomes = [{"found": None, "duplicates": 0, "elsewhere": False} for _ in leaks]
    false = 0
    for finding in findings:
        met = [n for n, leak in enumerate(leaks) if meets(finding, leak)]
        if not met:
            false += 1
            # By the rules false; but what a leak does to a table may well be found on the table.
            for outcome, leak in zip(outcomes, leaks, strict=True):
                outcome["elsewhere"] |= iou(finding, leak) >= 0.5
            continue
        best = max(met, key=lambda n: (iou(finding, leaks[n]), -n))
        outcome, leak = outcomes[best], leaks[best]
        if outcome["found"]:
            outcome["duplicates"] += 1
            continue
        outcome["found"] = {
            "iou": iou(finding, leak),
            "start_error_hours": (finding.start - micros(leak["start"])) / 3.6e9,
            "end_error_hours": (finding.end - micros(leak["end"])) / 3.6e9,
        }
    return {"leaks": outcomes, "findings": len(findings), "false": false}


def findings_of(out: Path) -> list[Finding]:
    """What a scan reported, medium and above, by rank."""
    table = pq.read_table(out / "findings.parquet")
    for name in ("start", "end"):
        column = table.schema.get_field_index(name)
        table = table.set_column(column, name, table[name].cast(pa.int64()))
    rows = sorted(table.to_pylist(), key=lambda row: row["rank"])
    names = ("dimension", "entity", "start", "end", "key", "user")
    wanted = ("medium", "high", "critical")
    return [Finding(*(row[name] for name in names)) for row in rows if row["severity"] in wanted]
