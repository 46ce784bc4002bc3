"""One night of slowleak as an Airflow DAG (Airflow 2.7 or later, with the BashOperator of the standard provider).

Put it among the DAGs and set the variables below. The state folder must be one that every worker sees, with
locks that hold between hosts (NFS 4 has them); two runs at once do no harm (the second leaves at once). A night that failed can be run again at any time: it ends as if nothing had happened.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:  # Airflow 2
    from airflow.operators.bash import BashOperator

LOGS = "/srv/access-logs"
STATE = "/var/lib/slowleak/nightly"
SETTINGS = "/etc/slowleak/slowleak.toml"

# 3: part of the input was rejected; it is retried next night, and the report says which part.
COMMAND = f"""
slowleak nightly {LOGS} --state {STATE} --config {SETTINGS} --quiet || {{ code=$?; [ "$code" -eq 3 ] || exit "$code"; }}
"""

with DAG(
    dag_id="slowleak_nightly",
    description="Find slow data leaks in the access logs",
    schedule="30 2 * * *",
    start_date=datetime(2025, 1, 1, tzinfo=timezone.utc),
    # One run brings all nights that were missed.
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=10), "execution_timeout": timedelta(hours=6)},
) as dag:
    BashOperator(task_id="nightly", bash_command=COMMAND)
