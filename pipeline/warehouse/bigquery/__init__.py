"""The BigQuery warehouse. It extracts issues from GH Archive's public data set, and publishes releases in a
data set of the user's own project.
"""

from pipeline.warehouse.bigquery.warehouse import BigQueryWarehouse

__all__ = ["BigQueryWarehouse"]
