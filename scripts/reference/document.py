"""Puts made tables into a page between `<!-- begin: NAME -->` and `<!-- end: NAME -->`."""

from pathlib import Path


def refresh(page: Path, name: str, tables: str) -> None:
    """Replaces what stands between the markers; raises ValueError where the page lacks them."""
    begin, end = f"<!-- begin: {name} -->", f"<!-- end: {name} -->"
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"{page}: expected {begin} and {end} once each")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n{tables}{end}{after}", encoding="utf-8")
