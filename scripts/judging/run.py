"""One seed of one scenario: generate, scan, evaluate, ask the rivals; the log is deleted afterwards."""

import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reference.command import slowleak

from judging.match import findings_of, judge, micros
from judging.scenarios import Scenario
from judging.series import daily, principals

# Days after the leak's first access at which the log is scanned as of then, until the leak is found.
NIGHTS = (1, 2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180, 240, 365, 550, 800)


def scan(scenario: Scenario, work: Path, out: Path, *more: object) -> list:
    registries = ["--keys", work / "keys.csv", "--people", work / "people.csv"] if scenario.registries else []
    views = [argument for view in scenario.also_views for argument in ("--also-view", view)]
    slowleak("scan", work / "logs", "--out", out, "--quiet", *registries, *views, *more)
    return findings_of(out)


def evaluated(out: Path, work: Path, own: dict) -> None:
    """`slowleak evaluate` must say what the bench says."""
    command = ("evaluate", "--out", out, "--truth", work / "truth.json", "--format", "json")
    said = json.loads(slowleak(*command).stdout)
    same = [
        (leak["found"] is None) == (mine["found"] is None)
        and (leak["found"] is None or abs(leak["found"]["iou"] - mine["found"]["iou"]) < 1e-6)
        and len(leak["duplicates"]) == mine["duplicates"]
        for leak, mine in zip(said["leaks"], own["leaks"], strict=True)
    ]
    assert all(same) and len(said["false_findings"]) == own["false"], (
        f"{out}: evaluate and the bench disagree"
    )


def delays(scenario: Scenario, leaks: list[dict], work: Path, step: Path) -> list[float | None]:
    """Days from each leak's first access to the first night on which a scan of the log so far finds it."""
    found: list[float | None] = [None] * len(leaks)
    begin = min(micros(leak["start"]) for leak in leaks)
    last = max(micros(leak["end"]) for leak in leaks)
    for days in NIGHTS:
        until = datetime.fromtimestamp(begin / 10**6, UTC) + timedelta(days=days)
        findings = scan(scenario, work, step, "--until", until.isoformat())
        for n, outcome in enumerate(judge(findings, leaks)["leaks"]):
            if found[n] is None and outcome["found"]:
                found[n] = (until.timestamp() * 10**6 - micros(leaks[n]["start"])) / 8.64e10
        if all(found) or until.timestamp() * 10**6 > last + 14 * 8.64e10:
            break
    return found


def seed(scenario: Scenario, number: int, work: Path, ask_rivals: bool, ask_delay: bool) -> dict:
    """What happened, as one line of the results."""
    shutil.rmtree(work, ignore_errors=True)
    slowleak("generate", scenario.path, "--out", work, "--seed", number, "--quiet")
    leaks = json.loads((work / "truth.json").read_text())["leaks"]
    begun = time.perf_counter()
    findings = scan(scenario, work, work / "out")
    seconds = time.perf_counter() - begun
    own = judge(findings, leaks)
    evaluated(work / "out", work, own)
    made = {
        "scenario": scenario.name,
        "seed": number,
        "seconds": round(seconds, 2),
        "principals": principals(work / "out/rollup"),
        "leaks": [
            {**leak, "days": (micros(leak["end"]) - micros(leak["start"])) / 8.64e10} for leak in leaks
        ],
        "by": {"slowleak": own},
    }
    if ask_rivals:
        from judging.rivals import everyone

        series = daily(work / "out/rollup", leaks)
        for name, found in everyone(series, leaks, number).items():
            made["by"][name] = judge(found, leaks)
    if ask_delay and leaks:
        made["delays"] = delays(scenario, leaks, work, work / "night")
    shutil.rmtree(work)
    return made
