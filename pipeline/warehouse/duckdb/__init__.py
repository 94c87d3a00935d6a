"""The DuckDB warehouse. It reads GH Archive's hour files, and publishes a release as a DuckDB file.

The views in the DuckDB file read the lake's Parquet files.
"""

from pipeline.warehouse.duckdb.release_file import StagedFile
from pipeline.warehouse.duckdb.warehouse import DuckDBWarehouse

__all__ = ["DuckDBWarehouse", "StagedFile"]
