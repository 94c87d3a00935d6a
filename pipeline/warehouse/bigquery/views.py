"""Creates the analysts' views and table functions in BigQuery. Replaces those whose SQL has changed.

When a view is replaced, BigQuery may forget that the view is authorised to read the tables. So a view is not
replaced if only its comments, layout or description changed. A changed description is updated separately.
"""

from __future__ import annotations

from collections.abc import Mapping

from google.api_core import exceptions
from google.cloud import bigquery

from pipeline.warehouse.bigquery.client import REQUEST_TIMEOUT
from pipeline.warehouse.bigquery.errors import translated_errors
from pipeline.warehouse.bigquery.jobs import Jobs
from pipeline.warehouse.bigquery.tables import quote
from pipeline.warehouse.query import Query, canonical_sql
from pipeline.warehouse.sql_parser import replace_tables, table_function


def create_views(jobs: Jobs, addresses: Mapping[str, str]) -> None:
    """Creates the views of `sql/views` and the table functions of `sql/functions`.

    Replaces existing views and functions whose SQL has changed. If only the description of a view has
    changed, updates the description.
    """
    statements = []
    for view in Query.folder("views"):
        text = replace_tables(view.sql, addresses)
        existing_sql, existing_description = _existing_view(jobs, view.stem) or (None, None)
        if existing_sql != canonical_sql(text):
            options = f"OPTIONS (description = {quote(view.prose)})"
            statements.append(f"CREATE OR REPLACE VIEW {addresses[view.stem]} {options} AS\n{text}")
        elif existing_description != view.prose:
            _update_description(jobs, view)
    for function in Query.folder("functions"):
        body = table_function(function.sql)
        text = replace_tables(body.sql, addresses)
        if _existing_function(jobs, function.stem) != (canonical_sql(text), body.arguments):
            arguments = ", ".join(f"{name} STRING" for name in body.arguments)
            statements.append(
                f"CREATE OR REPLACE TABLE FUNCTION {addresses[function.stem]}({arguments}) AS\n{text}"
            )
    if statements:
        jobs.run_ddl("creating the views", ";\n".join(statements))


def _update_description(jobs: Jobs, view: Query) -> None:
    """Sets a view's description without replacing the view."""
    table = bigquery.Table(f"{jobs.dataset}.{view.stem}")
    table.description = view.prose
    with translated_errors(jobs.settings, f"setting the description of {view.stem}"):
        jobs.client.update_table(table, ["description"], timeout=REQUEST_TIMEOUT)


def _existing_view(jobs: Jobs, name: str) -> tuple[str, str] | None:
    """Returns a view's SQL without comments and layout, and the view's description. Returns None if the view
    does not exist."""
    with translated_errors(jobs.settings, f"looking for {name}"):
        try:
            view = jobs.client.get_table(f"{jobs.dataset}.{name}", timeout=REQUEST_TIMEOUT)
        except exceptions.NotFound:
            return None
    return canonical_sql(view.view_query or ""), view.description or ""


def _existing_function(jobs: Jobs, name: str) -> tuple[str, tuple[str, ...]] | None:
    """Returns a table function's SQL without comments and layout, and the names of its arguments. Returns
    None if the function does not exist."""
    with translated_errors(jobs.settings, f"looking for {name}"):
        try:
            function = jobs.client.get_routine(f"{jobs.dataset}.{name}", timeout=REQUEST_TIMEOUT)
        except exceptions.NotFound:
            return None
    return canonical_sql(function.body or ""), tuple(argument.name for argument in function.arguments)
