"""What the bench runs, from datasets/quality/bench.toml."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from reference.command import ROOT

FOLDER = ROOT / "datasets/quality"


@dataclass(frozen=True)
class Scenario:
    name: str
    row: str
    target: str
    file: str = ""
    registries: bool = False
    # Counted besides the default views.
    also_views: tuple[str, ...] = ()
    at_least: dict[str, float] = field(default_factory=dict)
    at_most: dict[str, float] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return FOLDER / (self.file or f"{self.name}.toml")


def every() -> list[Scenario]:
    entries = tomllib.loads((FOLDER / "bench.toml").read_text(encoding="utf-8"))["scenario"]
    return [Scenario(**entry) for entry in entries]
