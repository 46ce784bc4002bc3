"""Figures of a detector over the seeds of a scenario; None where there is nothing to divide by."""

import statistics

EVENT = 0.5


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def outcomes(results: list[dict], who: str) -> list[tuple[dict, dict]]:
    return [pair for r in results for pair in zip(r["leaks"], r["by"][who]["leaks"], strict=True)]


def within(match: dict, hours: float) -> bool:
    """Whether both edges are that near."""
    return max(abs(match["start_error_hours"]), abs(match["end_error_hours"])) <= hours


def figures(results: list[dict], who: str = "slowleak") -> dict[str, float | None]:
    """Over all leaks of all seeds on which `who` was asked."""
    results = [result for result in results if who in result["by"]]
    every = outcomes(results, who)
    found = [(leak, outcome["found"]) for leak, outcome in every if outcome["found"]]
    ious = [match["iou"] for _, match in found]
    false = sum(r["by"][who]["false"] for r in results)
    findings = sum(r["by"][who]["findings"] for r in results)
    events = sum(iou >= EVENT for iou in ious)
    known = [pair for r in results if "delays" in r for pair in zip(r["leaks"], r["delays"], strict=True)]
    delays = [float("inf") if delay is None else delay for _, delay in known]
    lost = [1.0 if delay is None else min(delay / leak["days"], 1.0) for leak, delay in known]
    return {
        "seeds": len(results),
        "leaks": len(every),
        "recall": share(len(found), len(every)),
        "event_recall": share(events, len(every)),
        "event_precision": share(events, findings),
        "mean_iou": share(sum(ious), len(every)),
        "iou_90": share(sum(iou >= 0.9 for iou in ious), len(every)),
        "iou_95": share(sum(iou >= 0.95 for iou in ious), len(every)),
        "ends_within_a_day": share(sum(abs(m["end_error_hours"]) <= 24 for _, m in found), len(every)),
        "edges_hour": share(sum(within(m, 1) for _, m in found), len(every)),
        # Findings of one leak beyond the first.
        "split": share(sum(outcome["duplicates"] for _, outcome in every), len(every)),
        # Not found, but a false finding of another name has the leak's interval.
        "elsewhere": share(sum(o["elsewhere"] and not o["found"] for _, o in every), len(every)),
        "false_a_log": share(false, len(results)),
        "false_share": share(false, findings),
        "flagged": share(false, sum(r["principals"] for r in results)),
        # Of s6-honest, where 60% of the keys and users are born within the span.
        "false_births": share(false, sum(r["principals"] for r in results) * 0.6),
        # A leak that is never found counts as later than any that is.
        "delay_days": statistics.median(delays) if delays else None,
        # Share of the accounts, were they read at an even pace.
        "lost": statistics.median(lost) if lost else None,
    }


def verdict(figures: dict, at_least: dict, at_most: dict) -> str:
    """Whether the target is met: every figure named, on its side of the bound."""
    asked = [(name, bound, 1) for name, bound in at_least.items()]
    asked += [(name, bound, -1) for name, bound in at_most.items()]
    missing = [name for name, _, _ in asked if figures[name] is None]
    if missing:
        return "not measured"
    return "yes" if all(sign * (figures[name] - bound) >= 0 for name, bound, sign in asked) else "no"
