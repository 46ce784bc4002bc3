"""The rollup of raw access records, by DuckDB.

In: Parquet files in the native layout, whatever their time unit, count types, row groups and order.
Out: the cells of a view, as a DuckDB relation with the contract's columns. It shares no code with
slowleak: it is the other side of the comparison.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa

TEXT_FIELDS = ("key", "user", "source", "region", "action", "object", "subject", "status")
COUNT_FIELDS = ("rows", "bytes")
NEEDS = {
    "rows": "rows", "bytes": "bytes", "denied": "status", "missing": "status", "error": "status",
    "sources": "source", "subjects": "subject",
}  # fmt: skip
METRICS = ("events", *NEEDS)
JOINER = " + "
UNITS = {"s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}


@dataclass(frozen=True)
class View:
    """DIMENSION@WINDOW:METRIC,... as the command line takes it."""

    text: str

    @property
    def folder(self) -> str:
        return self.text.split(":")[0]

    @property
    def parts(self) -> list[str]:
        return self.text.split("@")[0].split("+")

    @property
    def metrics(self) -> list[str]:
        asked = {"events", *self.text.split(":")[1].split(",")}
        return [metric for metric in METRICS if metric in asked]

    @property
    def window_micros(self) -> int:
        number, unit = re.fullmatch(r".*@(\d+)([smhd]):.*", self.text).groups()
        return int(number) * UNITS[unit]


class Records:
    """The records of a log, as table `records` of an in-memory database."""

    def __init__(self, files: list[Path]):
        self.db = duckdb.connect()
        self.db.sql("SET TimeZone = 'UTC'")
        parts, self.fields = [], set()
        for file in files:
            select, found = self._select(file)
            parts.append(select)
            self.fields |= found
        self.db.sql(f"CREATE TABLE every_row AS {' UNION ALL '.join(parts)}")
        # A row without a time, or without both key and user, is no access record.
        usable = "time IS NOT NULL AND (key IS NOT NULL OR user IS NOT NULL)"
        self.db.sql(f"CREATE TABLE records AS SELECT * FROM every_row WHERE {usable}")

    def _select(self, file: Path) -> tuple[str, set[str]]:
        # Folders named column=value hold a column's value, as Hive lays out partitions.
        rows = f"read_parquet('{file}', hive_partitioning=true, hive_types_autocast=false)"
        types = {row[0]: row[1] for row in self.db.sql(f"DESCRIBE SELECT * FROM {rows}").fetchall()}

        def column(field: str) -> str | None:
            if field in types:
                return field
            return next((name for name in types if name.lower() == field), None)

        found = {field for field in ("time", *TEXT_FIELDS, *COUNT_FIELDS) if column(field)}
        terms = [self._time(column("time"), types)]
        for field in TEXT_FIELDS:
            name = column(field)
            terms.append(f'CAST("{name}" AS VARCHAR) AS "{field}"' if name else f'NULL::VARCHAR AS "{field}"')
        for field in COUNT_FIELDS:
            name = column(field)
            count = self._count(name, types[name]) if name else "NULL::BIGINT"
            given = f'"{name}" IS NOT NULL' if name else "false"
            terms.append(f"{count} AS {field}, {given} AS {field}_given")
        return f"SELECT {', '.join(terms)} FROM {rows}", found

    @staticmethod
    def _time(name: str, types: dict[str, str]) -> str:
        """Microseconds since 1970; below a microsecond, downwards."""
        kind = types[name]
        if kind == "VARCHAR":
            return f'epoch_us(TRY_CAST("{name}" AS TIMESTAMPTZ)) AS time'
        if kind == "BIGINT":
            unit = (
                f'CASE WHEN abs("{name}") < 1e11 THEN 1000000 WHEN abs("{name}") < 1e14 THEN 1000 ELSE 1 END'
            )
            return f'CASE WHEN abs("{name}") < 1e17 THEN "{name}" * {unit} ELSE "{name}" // 1000 END AS time'
        if kind.endswith("_NS"):
            nanos = f'epoch_ns("{name}")'
            return f"({nanos} - (({nanos} % 1000) + 1000) % 1000) // 1000 AS time"
        return f'epoch_us("{name}") AS time'

    @staticmethod
    def _count(name: str, kind: str) -> str:
        """A count that is negative, fractional, infinite or not a number is no value."""
        column = f'"{name}"'
        if kind in ("FLOAT", "DOUBLE"):
            whole = f"isfinite({column}) AND {column} >= 0 AND {column} = trunc({column})"
            return f"CASE WHEN {whole} THEN CAST({column} AS BIGINT) END"
        return f"CASE WHEN {column} >= 0 THEN CAST({column} AS BIGINT) END"

    def tally(self) -> tuple[int, int]:
        """Rows that count, and rows that can not be used."""
        every = self.db.sql("SELECT count(*) FROM every_row").fetchall()[0][0]
        used = self.db.sql("SELECT count(*) FROM records").fetchall()[0][0]
        return used, every - used

    def unusable_values(self) -> int:
        """Values given in usable rows that can not be used: counts that are none, unknown statuses."""
        return self.db.sql(
            """
            SELECT count(*) FILTER (rows_given AND rows IS NULL)
                   + count(*) FILTER (bytes_given AND bytes IS NULL)
                   + count(*) FILTER (status NOT IN ('ok', 'denied', 'missing', 'error')) FROM records
            """
        ).fetchall()[0][0]

    def metrics(self, view: View) -> list[str]:
        """The view's metrics whose column at least one file has."""
        return [metric for metric in view.metrics if NEEDS.get(metric, "time") in self.fields]

    def cells(self, view: View) -> duckdb.DuckDBPyRelation:
        """The view's cells: entity, window (microseconds), and one column a metric."""
        expressions = {
            "events": "count(*)",
            "rows": "coalesce(sum(rows), 0)::BIGINT",
            "bytes": "coalesce(sum(bytes), 0)::BIGINT",
            "denied": "count(*) FILTER (status = 'denied')",
            "missing": "count(*) FILTER (status = 'missing')",
            "error": "count(*) FILTER (status NOT IN ('ok', 'denied', 'missing'))",
            "sources": "count(DISTINCT source)",
            "subjects": "count(DISTINCT subject)",
        }
        width = view.window_micros
        quoted = [f'"{part}"' for part in view.parts]
        # A part of a compound may itself hold the joiner: its lone plus signs are written with a backslash.
        words = "list_transform(string_split({}, ' '), lambda w: {})"
        escaped = "CASE WHEN regexp_full_match(w, '\\\\*\\+') THEN '\\' || w ELSE w END"
        joined = [f"array_to_string({words.format(part, escaped)}, ' ')" for part in quoted]
        entity = quoted[0] if len(quoted) == 1 else f" || '{JOINER}' || ".join(joined)
        metrics = ", ".join(f"{expressions[metric]} AS {metric}" for metric in self.metrics(view))
        return self.db.sql(
            f"""
            SELECT {entity} AS entity,
                   time - ((time % {width}) + {width}) % {width} AS window, {metrics}
            FROM records WHERE {" AND ".join(f"{part} IS NOT NULL" for part in quoted)}
            GROUP BY ALL
            """
        )


def files_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith((".", "_")))


def expected_schema(metrics: list[str]) -> pa.Schema:
    """The contract's columns of a view's files, in the order slowleak writes them."""
    fields = [("entity", pa.string()), ("window", pa.timestamp("us", tz="UTC"))]
    fields += [(metric, pa.float64() if metric == "subjects" else pa.int64()) for metric in metrics]
    if "subjects" in metrics:
        fields.append(("subjects_sketch", pa.binary()))
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in fields])
