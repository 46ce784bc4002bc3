"""The Markdown tables of docs/quality.md, from the lines of the results."""

from judging.figures import figures, verdict
from judging.scenarios import Scenario

RIVALS_LAST = ("random", "constant", "oracle baseline")


def number(value: float | None, form: str = ".2f") -> str:
    if value is None:
        return "-"
    return "never" if value == float("inf") else format(value, form)


def targets(scenarios: list[Scenario], by_name: dict[str, list[dict]]) -> str:
    """Every target, and what was measured beside it."""
    lines = [
        "| | scenario | target | met | seeds | leaks | found | under another name | IoU >= 0.5 "
        "| IoU >= 0.95 | mean IoU | again | ends within a day | delay, days | lost by then | false a log | flagged |",
        "| --- | --- | --- | --- | ---: " + "| ---: " * 12 + "|",
    ]
    for scenario in scenarios:
        results = by_name.get(scenario.name, [])
        if not results:
            lines.append(f"| {scenario.row} | `{scenario.name}` | {scenario.target} | not run |" + " |" * 13)
            continue
        f = figures(results)
        cells = [
            f"{f['seeds']}",
            f"{f['leaks']}",
            *(
                number(f[n])
                for n in (
                    "recall",
                    "elsewhere",
                    "event_recall",
                    "iou_95",
                    "mean_iou",
                    "split",
                    "ends_within_a_day",
                )
            ),
            number(f["delay_days"], ".1f"),
            number(f["lost"], ".0%"),
            number(f["false_a_log"]),
            number(f["flagged"], ".3%"),
        ]
        met = verdict(f, scenario.at_least, scenario.at_most)
        lines.append(
            f"| {scenario.row} | `{scenario.name}` | {scenario.target} | {met} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def rivals(scenarios: list[Scenario], by_name: dict[str, list[dict]]) -> str:
    """All detectors on the logs that every one of them judged: with leaks, and without."""
    results = [r for s in scenarios for r in by_name.get(s.name, []) if len(r["by"]) > 1]
    if not results:
        return "Not run.\n"
    names = list(dict.fromkeys(name for result in results for name in result["by"]))
    leaking = [r for r in results if r["leaks"]]
    quiet = [r for r in results if not r["leaks"]]
    lines = [
        f"{len(leaking)} logs with {sum(len(r['leaks']) for r in leaking)} leaks, {len(quiet)} logs without.",
        "",
        "| detector | found | event recall | event precision | mean IoU | findings a leak beyond the first "
        "| false a leaking log | false a leak-free log |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name in names:
        f, q = figures(leaking, name), figures(quiet, name)
        cells = [number(f[n]) for n in ("recall", "event_recall")]
        cells += [number(f["event_precision"], ".3f"), number(f["mean_iou"]), number(f["split"])]
        cells += [number(f["false_a_log"], ",.1f"), number(q["false_a_log"], ",.1f")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "Event recall by scenario:", ""]
    lines += ["| scenario | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for scenario in scenarios:
        some = [r for r in by_name.get(scenario.name, []) if len(r["by"]) > 1 and r["leaks"]]
        if some:
            cells = [number(figures(some, name)["event_recall"]) for name in names]
            lines.append(f"| `{scenario.name}` | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
