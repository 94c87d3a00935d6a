"""The output of a task's command in Airflow's log."""

from __future__ import annotations

import structlog.testing


def test_the_error_message_of_a_command_is_logged_as_an_error() -> None:
    from _titler_process import TitlerProcess

    command = "echo extracting; echo titler: the day is missing; echo Type: titler extract; exit 2"
    with structlog.testing.capture_logs() as log:
        assert TitlerProcess().run_command(["bash", "-c", command]).exit_code == 2
    assert [(entry["log_level"], entry["event"]) for entry in log if "echo" not in entry["event"]][2:] == [
        ("info", "extracting"),
        ("error", "titler: the day is missing"),
        ("error", "Type: titler extract"),
        ("error", "Command exited with return code 2"),
    ]
