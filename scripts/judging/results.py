"""The lines of results.jsonl: one a seed, kept so that a long run can be broken off and taken up again."""

import hashlib
import json
from pathlib import Path

from reference.command import binary

from judging.scenarios import Scenario


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


class Results:
    """What is known of this program on the scenarios as they stand; other lines are left alone."""

    def __init__(self, path: Path, scenarios: list[Scenario]):
        self.path = path
        self.program = fingerprint(binary())
        self.texts = {scenario.name: fingerprint(scenario.path) for scenario in scenarios}
        self.known: dict[str, dict[int, dict]] = {scenario.name: {} for scenario in scenarios}
        for line in path.read_text().splitlines() if path.exists() else ():
            result = json.loads(line)
            name = result["scenario"]
            if (result["program"], result["text"]) == (self.program, self.texts.get(name)):
                self.known[name][result["seed"]] = result

    def has(self, scenario: Scenario, seed: int) -> bool:
        return seed in self.known[scenario.name]

    def add(self, result: dict) -> None:
        name = result["scenario"]
        line = {"program": self.program, "text": self.texts[name], **result}
        self.known[name][result["seed"]] = line
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def of(self, seeds: range) -> dict[str, list[dict]]:
        """By scenario, in the order of the seeds."""
        return {name: [done[n] for n in seeds if n in done] for name, done in self.known.items()}
