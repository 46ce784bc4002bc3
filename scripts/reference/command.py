"""Finds the slowleak binary and runs it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def binary() -> Path:
    """The binary that SLOWLEAK names, else the newer of target/release and target/debug."""
    named = os.environ.get("SLOWLEAK")
    if named:
        path = Path(named)
        if not path.is_file():
            sys.exit(f"SLOWLEAK={named}: no such file")
        return path.resolve()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    built = [path for path in (target / "release/slowleak", target / "debug/slowleak") if path.is_file()]
    if not built:
        sys.exit(f"no slowleak binary under {target}; run cargo build, or set SLOWLEAK to its path")
    return max(built, key=lambda path: path.stat().st_mtime)


def slowleak(*arguments: object, exits: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
    """Runs a command; any exit code outside `exits` ends the check with what the command said."""
    command = [str(binary()), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode not in exits:
        said = (run.stderr or run.stdout).strip()
        raise AssertionError(f"{' '.join(command)}\n  exit code {run.returncode}, expected {exits}\n  {said}")
    return run
