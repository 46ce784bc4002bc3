"""An independent answer to what slowleak computes, for the checks: DuckDB over the same raw files."""
