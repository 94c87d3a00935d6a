"""Whether something listens at MLflow's address is found out before MLflow's client is used."""

from __future__ import annotations

import pytest

from pipeline.tracking.mlflow_errors import check_listening


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/mlflow", "postgresql+psycopg2://user:p%2Fw@127.0.0.1:1/mlflow"]
)
def test_an_address_where_nothing_listens_is_an_error(address: str) -> None:
    with pytest.raises(OSError, match="refused"):
        check_listening(address)


@pytest.mark.parametrize(
    "address",
    [
        "sqlite:////lake/mlflow.db",
        "postgresql://user@%2Fvar%2Frun%2Fpostgresql/mlflow",
        "postgresql://user@127.0.0.1:1/mlflow?host=/cloudsql/a:b:c",
        "postgresql://127.0.0.1:1,127.0.0.1:2/mlflow",
        "mysql+pymysql://user@127.0.0.1:1/mlflow?unix_socket=/run/mysqld/mysqld.sock",
    ],
)
def test_a_database_behind_a_socket_or_several_hosts_is_left_to_its_driver(address: str) -> None:
    check_listening(address)
