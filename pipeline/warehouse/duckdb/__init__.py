"""The embedded warehouse: DuckDB reads hour files, and shows a release as a file of views over the lake's
Parquet files.
"""

from pipeline.warehouse.duckdb.release_file import StagedFile
from pipeline.warehouse.duckdb.warehouse import DuckDBWarehouse

__all__ = ["DuckDBWarehouse", "StagedFile"]
