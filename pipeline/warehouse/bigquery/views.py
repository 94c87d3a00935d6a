"""Creates the analysts' views and table functions in BigQuery. Replaces those whose SQL has changed.

A view or a function that is replaced may lose its authorisation to read the tables. (This does not
happen if the whole data set of the view is authorised.) So a view is not replaced if only its comments,
layout or descriptions changed. Changed descriptions, of the view and of its columns, are updated separately,
by a request that is free of charge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from google.api_core import exceptions
from google.cloud import bigquery

from pipeline.warehouse.bigquery.client import REQUEST_TIMEOUT
from pipeline.warehouse.bigquery.errors import translated_errors
from pipeline.warehouse.bigquery.jobs import Jobs
from pipeline.warehouse.bigquery.tables import quote
from pipeline.warehouse.query import Query, canonical_sql
from pipeline.warehouse.sql_parser import replace_tables, table_function
from pipeline.warehouse.view_columns import columns_of


def create_views(jobs: Jobs, addresses: Mapping[str, str]) -> None:
    """Creates the views of `sql/views` and the table functions of `sql/functions`.

    Replaces existing views and functions whose SQL has changed. If only the description of a view or of one
    of its columns has changed, updates the descriptions.
    """
    statements = []
    for view in Query.folder("views"):
        text = replace_tables(view.sql, addresses)
        descriptions = {name: column.prose for name, column in columns_of(view).items()}
        existing = _existing_view(jobs, view.stem)
        if existing is None or existing.sql != canonical_sql(text):
            columns = ", ".join(f"{name} {_options(prose)}" for name, prose in descriptions.items())
            head = f"{addresses[view.stem]} ({columns}) {_options(view.prose)}"
            statements.append(f"CREATE OR REPLACE VIEW {head} AS\n{text}")
        elif (existing.table.description, existing.descriptions) != (view.prose, descriptions):
            _update_descriptions(jobs, existing.table, view, descriptions)
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


@dataclass(frozen=True)
class _ExistingView:
    """A view in BigQuery. `sql` is its SELECT without comments, with one space between its tokens."""

    table: bigquery.Table
    sql: str

    @property
    def descriptions(self) -> dict[str, str]:
        """Maps the name of each column to its description. A column without one has an empty string."""
        return {field.name: field.description or "" for field in self.table.schema}


def _options(prose: str) -> str:
    return f"OPTIONS (description = {quote(prose)})"


def _update_descriptions(
    jobs: Jobs, table: bigquery.Table, view: Query, descriptions: Mapping[str, str]
) -> None:
    """Sets the descriptions of a view and of its columns without replacing the view."""
    table.description = view.prose
    fields = [field.to_api_repr() for field in table.schema]
    table.schema = [
        bigquery.SchemaField.from_api_repr({**field, "description": descriptions[field["name"]]})
        for field in fields
    ]
    with translated_errors(jobs.settings, f"setting the descriptions of {view.stem}"):
        jobs.client.update_table(table, ["description", "schema"], timeout=REQUEST_TIMEOUT)


def _existing_view(jobs: Jobs, name: str) -> _ExistingView | None:
    """Returns a view, or None if it does not exist."""
    with translated_errors(jobs.settings, f"looking for {name}"):
        try:
            view = jobs.client.get_table(f"{jobs.views_dataset}.{name}", timeout=REQUEST_TIMEOUT)
        except exceptions.NotFound:
            return None
    return _ExistingView(view, canonical_sql(view.view_query or ""))


def _existing_function(jobs: Jobs, name: str) -> tuple[str, tuple[str, ...]] | None:
    """Returns a table function's SQL without comments and layout, and the names of its arguments. Returns
    None if the function does not exist."""
    with translated_errors(jobs.settings, f"looking for {name}"):
        try:
            function = jobs.client.get_routine(f"{jobs.views_dataset}.{name}", timeout=REQUEST_TIMEOUT)
        except exceptions.NotFound:
            return None
    return canonical_sql(function.body or ""), tuple(argument.name for argument in function.arguments)
