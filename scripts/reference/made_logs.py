"""Small hostile logs: every layout of Parquet and every kind of value that a reader can trip over.

Each function writes one log into a folder; LOGS names them. Seeds are fixed.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = int(datetime(2025, 3, 29, 21, 17, tzinfo=UTC).timestamp() * 10**6)
DAY = 86_400 * 10**6
US = pa.timestamp("us", tz="UTC")


def some(rng: np.random.Generator, values: list, rows: int, nulls: float = 0.0) -> list:
    picked = [values[i] for i in rng.integers(0, len(values), rows)]
    return [None if hit else value for hit, value in zip(rng.random(rows) < nulls, picked, strict=True)]


def named(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{i:04}" for i in range(count)]


def columns(
    rng: np.random.Generator, rows: int, nulls: float = 0.0, days: float = 3, start: int = START
) -> dict:
    """A log of ordinary shape: every column of the contract, times ascending."""
    time = np.sort(rng.integers(0, int(days * DAY), rows)) + start
    status = ["ok", "ok", "ok", "denied", "missing", "error"]
    return {
        "time": pa.array(time, US),
        "key": pa.array(some(rng, named("key", 23), rows, nulls)),
        "user": pa.array(some(rng, named("user", 70), rows, nulls)),
        "source": pa.array(some(rng, [f"10.0.{i}.7" for i in range(40)], rows, nulls)),
        "region": pa.array(some(rng, ["eu", "us", "ap"], rows, nulls)),
        "action": pa.array(some(rng, ["read", "list", "query"], rows, nulls)),
        "object": pa.array(some(rng, named("table", 9), rows, nulls)),
        "subject": pa.array(some(rng, list(range(-5, 900)), rows, nulls), pa.int64()),
        "rows": pa.array(some(rng, list(range(50)), rows, nulls), pa.int64()),
        "bytes": pa.array(some(rng, [0, 17, 2_000, 3 * 10**9], rows, nulls), pa.int64()),
        "status": pa.array(some(rng, status, rows, max(nulls, 0.1))),
    }


def write(path: Path, data: dict, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(data), path, **options)


def plain(folder: Path, rng: np.random.Generator) -> None:
    write(folder / "a.parquet", columns(rng, 20_000))


def nulls_and_unknown_statuses(folder: Path, rng: np.random.Generator) -> None:
    data = columns(rng, 15_000, nulls=0.15)
    data["time"] = pa.array(some(rng, data["time"].to_pylist(), 15_000, 0.05), US)
    words = ["ok", "OK", "denied", "403", "", "missing", "error", "not found "]
    data["status"] = pa.array(some(rng, words, 15_000, 0.2))
    data["key"] = pa.array(some(rng, named("key", 5) + ["", "ключ", "a" * 900], 15_000, 0.4))
    write(folder / "a.parquet", data, row_group_size=777)


def unsorted_files_of_odd_row_groups(folder: Path, rng: np.random.Generator) -> None:
    for i, size in enumerate([1, 7, 1_000, 1_023, 1_025, 4_097]):
        rows = max(3 * size + 1, 25)
        table = pa.table(columns(rng, rows, nulls=0.05, days=9))
        shuffled = table.take(pa.array(rng.permutation(rows)))
        path = folder / f"part{i % 2}" / f"{i}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(shuffled, path, row_group_size=size)
    write(folder / "empty.parquet", {name: col.slice(0, 0) for name, col in columns(rng, 1).items()})


def counts_that_are_none(folder: Path, rng: np.random.Generator) -> None:
    data = columns(rng, 8_000)
    data["rows"] = pa.array(some(rng, [-1, -(2**31), 0, 5, 2**31 - 1], 8_000, 0.1), pa.int32())
    odd = [float("nan"), float("inf"), -float("inf"), -3.0, 2.5, -0.0, 12.0, 2.0**40]
    data["bytes"] = pa.array(some(rng, odd, 8_000, 0.1), pa.float64(), from_pandas=False)
    write(folder / "a.parquet", data, row_group_size=3_000)


def times_of_every_unit(folder: Path, rng: np.random.Generator) -> None:
    for name, kind in {
        "ms": pa.timestamp("ms", tz="UTC"),
        "ns": pa.timestamp("ns", tz="UTC"),
        "ms-no-zone": pa.timestamp("ms"),
        "us-no-zone": pa.timestamp("us"),
        "ns-no-zone": pa.timestamp("ns"),
    }.items():
        data = columns(rng, 3_000)
        micros = data["time"].cast(pa.int64()).to_numpy()
        per_unit = {"ms": micros // 1000, "us": micros, "ns": micros * 1000 + rng.integers(0, 1000, 3_000)}
        data["time"] = pa.array(per_unit[kind.unit], kind)
        write(folder / f"{name}.parquet", data)
    data = columns(rng, 3_000)
    write(folder / "int96.parquet", data, use_deprecated_int96_timestamps=True)


def times_as_numbers_and_text(folder: Path, rng: np.random.Generator) -> None:
    """Integers whose size tells the unit, ISO text with and without offset, dates, and what is no time."""
    data = columns(rng, 3_000)
    micros = data["time"].cast(pa.int64()).to_numpy()
    for name, per_unit in {"s": 10**6, "ms": 10**3, "us": 1}.items():
        write(folder / f"integer-{name}.parquet", data | {"time": pa.array(micros // per_unit)})
    write(folder / "integer-ns.parquet", data | {"time": pa.array(micros * 1000 + 999)})
    text = []
    for i, instant in enumerate(data["time"].to_pylist()):
        local = instant.astimezone(timezone(timedelta(hours=(i % 27) - 13, minutes=30 * (i % 2))))
        forms = [instant.isoformat(), local.isoformat(), instant.strftime("%Y-%m-%d %H:%M:%S"), "", None]
        forms += [instant.strftime("%Y-%m-%dT%H:%M:%S.%fZ"), "yesterday", "2025-02-30T00:00:00Z"]
        text.append(forms[i % len(forms)])
    write(folder / "text.parquet", data | {"time": pa.array(text)})
    write(folder / "date.parquet", data | {"time": data["time"].cast(pa.date32())})


def times_around_1970(folder: Path, rng: np.random.Generator) -> None:
    edges = [-DAY - 1, -DAY, -1, 0, 1, DAY - 1, DAY, -(10**15), 253_370_764_800 * 10**6]
    data = columns(rng, 2_000)
    data["time"] = pa.array(some(rng, edges, 2_000), US)
    write(folder / "us.parquet", data)
    data["time"] = pa.array(some(rng, [-1, -999, -1000, -1001, 0, 1, 999], 2_000), pa.timestamp("ns"))
    write(folder / "ns.parquet", data)


def text_subjects(folder: Path, rng: np.random.Generator) -> None:
    data = columns(rng, 12_000)
    data["subject"] = pa.array(some(rng, named("account", 3_000) + ["", "é", "0"], 12_000, 0.1))
    write(folder / "a.parquet", data, row_group_size=5_000, dictionary_pagesize_limit=2_000)


def many_subjects(folder: Path, rng: np.random.Generator) -> None:
    """Cells with 1 to 60,000 distinct subjects, each seen several times."""
    sizes = [1, 2, 100, 255, 256, 257, 500, 1_000, 5_000, 60_000]
    parts = []
    for i, size in enumerate(sizes):
        data = columns(rng, 2 * size, days=0.1)
        data["key"] = pa.array([f"size-{size}"] * (2 * size))
        data["subject"] = pa.array(np.concatenate([np.arange(size)] * 2) * 7_919 + i, pa.int64())
        parts.append(pa.table(data))
    table = pa.concat_tables(parts)
    table = table.take(pa.array(rng.permutation(table.num_rows)))
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "a.parquet", row_group_size=50_001)


def pages_of_every_encoding(folder: Path, rng: np.random.Generator) -> None:
    text = ["key", "user", "source", "region", "action", "object", "status"]
    numbers = ["time", "subject", "rows", "bytes"]
    for name, options in {
        "plain": {"use_dictionary": False},
        "delta-length": {
            "use_dictionary": False,
            "column_encoding": dict.fromkeys(text, "DELTA_LENGTH_BYTE_ARRAY"),
        },
        "delta-text": {"use_dictionary": False, "column_encoding": dict.fromkeys(text, "DELTA_BYTE_ARRAY")},
        "delta-numbers": {
            "use_dictionary": False,
            "column_encoding": dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        },
        "split": {"use_dictionary": False, "column_encoding": dict.fromkeys(numbers, "BYTE_STREAM_SPLIT")},
        "overflowing-dictionary": {"dictionary_pagesize_limit": 300, "data_page_size": 1_000},
        "pages-v2": {"data_page_version": "2.0", "data_page_size": 2_000},
        "snappy": {"compression": "snappy"},
        "gzip": {"compression": "gzip", "data_page_version": "2.0"},
        "brotli": {"compression": "brotli"},
        "lz4": {"compression": "lz4"},
        "zstd": {"compression": "zstd", "data_page_size": 500},
        "uncompressed": {"compression": "none", "version": "1.0"},
    }.items():
        write(folder / f"{name}.parquet", columns(rng, 2_500, nulls=0.1), row_group_size=1_100, **options)


def columns_elsewhere(folder: Path, rng: np.random.Generator) -> None:
    """Files that disagree about columns: order, case, types, nested strangers, some absent."""
    data = columns(rng, 3_000)
    nested = pa.array([{"a": 1, "b": {"c": "x", "d": [1, 2, None]}}] * 3_000)
    write(folder / "nested-first.parquet", {"extra": nested, **dict(reversed(data.items()))})
    write(folder / "upper.parquet", {name.upper(): column for name, column in columns(rng, 3_000).items()})
    lacking = columns(rng, 3_000)
    for name in ("source", "bytes", "region", "key"):
        del lacking[name]
    write(folder / "lacking.parquet", lacking)
    narrow = columns(rng, 3_000)
    narrow["subject"] = narrow["subject"].cast(pa.int32())
    narrow["rows"] = narrow["rows"].cast(pa.uint16())
    narrow["user"] = narrow["user"].cast(pa.large_string())
    narrow["object"] = narrow["object"].dictionary_encode()
    narrow["bytes"] = pa.nulls(3_000, pa.int64())
    write(folder / "narrow.parquet", narrow)


def values_in_folder_names(folder: Path, rng: np.random.Generator) -> None:
    """Hive-style partitions, an escaped value and Hive's null among them."""
    for region in ("eu", "us%2Fwest", "__HIVE_DEFAULT_PARTITION__"):
        for action in ("read", "list"):
            data = columns(rng, 700)
            del data["region"], data["action"]
            write(folder / f"region={region}" / f"action={action}" / "part-0.parquet", data)


def users_alone(folder: Path, rng: np.random.Generator) -> None:
    data = columns(rng, 6_000, nulls=0.1)
    write(folder / "a.parquet", {name: data[name] for name in ("time", "user", "action", "subject")})


def names_that_hold_the_joiner(folder: Path, rng: np.random.Generator) -> None:
    data = columns(rng, 3_000)
    data["key"] = pa.array(some(rng, ["a", "a + b", " + ", "a +", "", "+", "a \\+ b", "a+b"], 3_000))
    data["source"] = pa.array(some(rng, ["b + c", "c", "", "+ b + c"], 3_000))
    write(folder / "a.parquet", data)


LOGS: dict[str, Callable[[Path, np.random.Generator], None]] = {
    make.__name__.replace("_", "-"): make
    for make in (
        plain,
        nulls_and_unknown_statuses,
        unsorted_files_of_odd_row_groups,
        counts_that_are_none,
        times_of_every_unit,
        times_as_numbers_and_text,
        times_around_1970,
        text_subjects,
        many_subjects,
        pages_of_every_encoding,
        columns_elsewhere,
        values_in_folder_names,
        users_alone,
        names_that_hold_the_joiner,
    )
}


def make(name: str, folder: Path) -> None:
    LOGS[name](folder, np.random.default_rng(20250414))
