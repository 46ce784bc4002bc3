"""Other detectors on the same daily counts: each takes one series and returns the intervals that it calls
high.

Documented defaults are kept. What a package does not say is said here, the same for every log: which
segments of a segmentation are high (mean above the series' median by three robust deviations), and that
flagged days with at most one day between them are one finding. A package that is not installed is left out
with a message.
"""

import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from judging.match import Finding, meets, micros
from judging.series import DAY, Series

Intervals = list[tuple[int, int]]


def robust_spread(counts: np.ndarray) -> float:
    """Deviation of a normal with this median absolute deviation; never below that of a Poisson."""
    middle = np.median(counts)
    return max(1.4826 * float(np.median(np.abs(counts - middle))), float(np.sqrt(max(middle, 1.0))))


def high(counts: np.ndarray, segments: Intervals) -> Intervals:
    bound = np.median(counts) + 3 * robust_spread(counts)
    return [(a, b) for a, b in segments if b > a and counts[a:b].mean() > bound]


def runs(flags: np.ndarray) -> Intervals:
    """Flagged days as intervals, joined across a gap of one day."""
    found: Intervals = []
    for day in np.flatnonzero(flags):
        if found and day - found[-1][1] <= 1:
            found[-1] = (found[-1][0], int(day) + 1)
        else:
            found.append((int(day), int(day) + 1))
    return found


def pelt(counts: np.ndarray) -> Intervals:
    """ruptures: PELT, least squares, penalty 2 log n on the series in robust deviations."""
    import ruptures

    scaled = (counts - np.median(counts)) / robust_spread(counts)
    ends = ruptures.Pelt(model="l2").fit(scaled).predict(pen=2 * np.log(len(counts)))
    return high(counts, list(zip([0, *ends[:-1]], ends, strict=True)))


def capa(counts: np.ndarray) -> Intervals:
    """skchange: CAPA with its default saving and penalties, on the series in robust deviations."""
    from skchange.detectors import CAPA

    scaled = ((counts - np.median(counts)) / robust_spread(counts)).reshape(-1, 1)
    found = CAPA().fit(scaled).predict_segment_anomalies(scaled)
    return [(int(a), int(b)) for a, b in found if scaled[a:b].mean() > 0]


def stl(counts: np.ndarray) -> Intervals:
    """statsmodels: robust weekly STL; days that without season lie 3.5 robust deviations above the median."""
    from statsmodels.tsa.seasonal import STL

    rest = counts - STL(counts, period=7, robust=True).fit().seasonal
    return runs(rest > np.median(rest) + 3.5 * robust_spread(rest))


ONE_BY_ONE: dict[str, tuple[str, Callable[[np.ndarray], Intervals]]] = {
    "CAPA (skchange)": ("skchange", capa),
    "PELT (ruptures)": ("ruptures", pelt),
    "STL and robust z (statsmodels)": ("statsmodels", stl),
}

# farringtonFlexible looks at the same season of earlier years; a log of months has weeks for years.
SCRIPT = """
suppressMessages(library(surveillance))
asked <- commandArgs(trailingOnly = TRUE)
counts <- as.matrix(read.csv(asked[1], header = FALSE))
days <- nrow(counts)
failed <- 0
one <- function(column, method) {
  flags <- rep(0, days)
  series <- sts(counts[, column], frequency = 7)
  judge <- function() {
    if (method == "farrington") farringtonFlexible(series, control = list(range = 43:days))
    else earsC(series, control = list(method = method))
  }
  # A fit that fails is no alarm; how many fail is told.
  found <- tryCatch(suppressWarnings(judge()), error = function(e) NULL)
  if (is.null(found)) {
    failed <<- failed + 1
    return(flags)
  }
  raised <- as.integer(alarms(found))
  flags[(days - length(raised) + 1):days] <- raised
  flags
}
flags <- sapply(seq_len(ncol(counts)), one, method = asked[3])
flags[is.na(flags)] <- 0
write.table(flags, asked[2], sep = ",", row.names = FALSE, col.names = FALSE)
cat(failed)
"""
IN_R = {
    "EARS C2 (surveillance)": ("C2", None),
    "EARS C3 (surveillance)": ("C3", None),
    "Farrington (surveillance)": ("farrington", 40),
}


def in_r(method: str, series: list[Series]) -> list[np.ndarray]:
    """The flags of a method of the R package surveillance, a row of days a series."""
    with tempfile.TemporaryDirectory(prefix="rivals-") as folder:
        given, got = Path(folder) / "counts.csv", Path(folder) / "flags.csv"
        np.savetxt(given, np.array([each.counts for each in series]).T, fmt="%d", delimiter=",")
        command = ["Rscript", "--vanilla", "-e", SCRIPT, str(given), str(got), method]
        run = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
        failed = int(run.stdout.split()[-1])
        if failed:
            print(f"quality: {method} fails on {failed} of {len(series)} series", file=sys.stderr)
        return list(np.loadtxt(got, delimiter=",", ndmin=2).T)


def has_r() -> bool:
    try:
        asked = ["Rscript", "--vanilla", "-e", "library(surveillance)"]
        return subprocess.run(asked, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def has(package: str) -> bool:
    try:
        __import__(package)
    except ImportError:
        return False
    return True


def named(series: Series, intervals: Intervals) -> list[Finding]:
    first, name = series.first, (series.dimension, series.entity)
    return [Finding.of_series(*name, first + a * DAY, first + b * DAY) for a, b in intervals]


def asked_of(series: list[Series], leaks: list[dict], most: int | None) -> list[Series]:
    """The first `most` series of every view, and what a leak names."""
    if most is None:
        return series
    names = {name for leak in leaks for name in (leak["key"], leak["user"], leak["entity"])}
    counted: dict[str, int] = {}
    kept = []
    for each in series:
        counted[each.dimension] = counted.get(each.dimension, 0) + 1
        if counted[each.dimension] <= most // 4 or each.entity in names:
            kept.append(each)
    return kept


def chance(series: list[Series], seed: int) -> list[Finding]:
    """Ten intervals anywhere, of any length."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(10):
        each = series[rng.integers(len(series))]
        a, b = sorted(rng.choice(len(each.counts) + 1, 2, replace=False))
        found += named(each, [(int(a), int(b))])
    return found


def constant(series: list[Series]) -> list[Finding]:
    """Every series, from first to last day."""
    return [finding for each in series for finding in named(each, [(0, len(each.counts))])]


def honest_days(series: Series, leaks: list[dict]) -> np.ndarray:
    """Which days no leak of this series touches."""
    begins = series.first + np.arange(len(series.counts)) * DAY
    honest = np.ones(len(begins), bool)
    for leak in leaks:
        start, end = micros(leak["start"]), micros(leak["end"])
        if meets(Finding.of_series(series.dimension, series.entity, start, end), leak):
            honest &= (begins + DAY <= start) | (begins >= end)
    return honest


def best_rise(counts: np.ndarray, mean: np.ndarray, spread: float) -> Intervals:
    """The interval of the largest likelihood ratio over a few ratios, if it is worth 20 nats."""
    best = (20.0, 0, 0)
    for ratio in (1.1, 1.25, 1.5, 2.0, 5.0, 20.0):
        total, begin = 0.0, 0
        for day, step in enumerate((counts * np.log(ratio) - mean * (ratio - 1)) / spread):
            if total <= 0:
                total, begin = 0.0, day
            total += step
            best = max(best, (total, begin, day + 1))
    return [best[1:]] if best[2] else []


def oracle(series: list[Series], leaks: list[dict]) -> list[Finding]:
    """Knows which days are honest: weekday means and dispersion from those, then the best interval."""
    found = []
    for each in series:
        honest = honest_days(each, leaks)
        if honest.sum() < 14:
            continue
        weekday = np.arange(len(each.counts)) % 7
        of_week = [each.counts[honest & (weekday == day)].mean() for day in range(7)]
        mean = np.maximum(np.array(of_week)[weekday], 0.1)
        spread = max(float(((each.counts - mean) ** 2 / mean)[honest].mean()), 1.0)
        found += named(each, best_rise(each.counts, mean, spread))
    return found


def everyone(series: list[Series], leaks: list[dict], seed: int) -> dict[str, list[Finding]]:
    """The findings of every rival that is installed, and of the three detectors that give the scale."""
    found = {}
    for name, (package, detect) in ONE_BY_ONE.items():
        if has(package):
            found[name] = [finding for each in series for finding in named(each, detect(each.counts))]
        else:
            print(f"quality: {package} is not installed: left out", file=sys.stderr)
    if has_r():
        for name, (method, most) in IN_R.items():
            some = asked_of(series, leaks, most)
            flags = in_r(method, some)
            pairs = zip(some, flags, strict=True)
            found[name] = [finding for each, row in pairs for finding in named(each, runs(row > 0))]
    else:
        print("quality: R with the package surveillance is not installed: left out", file=sys.stderr)
    found["random"] = chance(series, zlib.crc32(str(seed).encode()))
    found["constant"] = constant(series)
    found["oracle baseline"] = oracle(series, leaks)
    return found
