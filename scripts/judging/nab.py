"""The count series of the Numenta Anomaly Benchmark as access logs, a key a series, and their labelled
windows.

NAB labels what a person found odd, falls and outages too, and pads it to a tenth of the series: a window
met by any finding counts as found, a finding outside every window as false.
"""

import json
import sys
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from reference.command import slowleak

from judging.match import Finding, findings_of, meets
from judging.series import daily

# Series that are counts, by log: those of a log are each other's peers. Counts are divided by `scale`.
LOGS = {
    "tweets": ("realTweets/Twitter_volume_*.csv", 1),
    "taxi": ("realKnownCause/nyc_taxi.csv", 200),
    "requests": ("realAWSCloudwatch/elb_request_count_*.csv", 1),
}


def log(files: list[Path], scale: int, folder: Path) -> None:
    """One record a count, spread over its interval."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        instants = "SELECT epoch_us(timestamp::TIMESTAMP) AS t, value"
        rows = duckdb.sql(f"{instants} FROM read_csv('{file}') ORDER BY t").fetchall()
        step = int(np.median(np.diff([row[0] for row in rows])))
        counts = [round(row[1] / scale) for row in rows]
        spread = [t + np.arange(n) * step // max(n, 1) for (t, _), n in zip(rows, counts, strict=True)]
        times = np.concatenate(spread).astype("int64")
        keys = pa.array([file.stem] * len(times)).dictionary_encode()
        table = pa.table({"time": pa.array(times, pa.timestamp("us", tz="UTC")), "key": keys})
        pq.write_table(table, folder / f"{file.stem}.parquet")


def windows(labels: dict, files: list[Path]) -> list[dict]:
    found = []
    for file in files:
        for start, end in labels[f"{file.parent.name}/{file.name}"]:
            name = {"key": file.stem, "user": None, "dimension": "key", "entity": file.stem}
            found.append({**name, "start": start + "+00:00", "end": end + "+00:00"})
    return found


def score(findings: list[Finding], truth: list[dict]) -> tuple[int, int]:
    """Windows met, and findings outside every window."""
    met = sum(any(meets(finding, window) for finding in findings) for window in truth)
    return met, sum(not any(meets(finding, window) for window in truth) for finding in findings)


def table(data: Path, work: Path, ask_rivals: bool) -> str:
    if not data.is_dir():
        print(f"quality: NAB left out: {data} is not there", file=sys.stderr)
        return "Not run: the data is not there.\n"
    labels = json.loads((data / "labels/combined_windows.json").read_text())
    met: dict[str, dict[str, tuple[int, int]]] = {}
    count = {}
    for name, (pattern, scale) in LOGS.items():
        files = sorted((data / "data").glob(pattern))
        truth = windows(labels, files)
        count[name] = (len(files), len(truth))
        log(files, scale, work / name / "logs")
        slowleak("scan", work / name / "logs", "--out", work / name / "out", "--quiet")
        by = {"slowleak": findings_of(work / name / "out")}
        if ask_rivals:
            from judging.rivals import everyone

            series = [s for s in daily(work / name / "out/rollup", truth) if s.dimension == "key"]
            by |= everyone(series, truth, 2001)
        for who, findings in by.items():
            met.setdefault(who, {})[name] = score(findings, truth)
    heads = [f"{name}: {files} series, {wins} windows" for name, (files, wins) in count.items()]
    lines = ["| detector | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    for who, by_log in met.items():
        cells = [f"{found} met, {false} outside" for found, false in by_log.values()]
        lines.append(f"| {who} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
