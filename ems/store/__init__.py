"""The databases: the only package that imports duckdb."""
