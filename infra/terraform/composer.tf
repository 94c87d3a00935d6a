# For orchestrator = "composer": Google's managed Airflow instead of a cluster. It trains on the CPU. `titler`
# is installed as a package from the repository below; infra/README.md has the commands that upload it and the
# DAGs, and create the pool `gpu`. The plugin in dags/plugins is left out, because Composer's scheduler loads
# no plugins.

resource "google_composer_environment" "titler" {
  count  = local.composer ? 1 : 0
  name   = "titler"
  region = var.region

  config {
    software_config {
      image_version = var.composer_image
      env_variables = {
        TITLER_LAKE__ROOT               = "gs://${local.lake_bucket}/lake"
        TITLER_WAREHOUSE__KIND          = "bigquery"
        TITLER_WAREHOUSE__PROJECT       = var.project
        TITLER_WAREHOUSE__DATASET       = var.dataset
        TITLER_WAREHOUSE__VIEWS_DATASET = google_bigquery_dataset.views.dataset_id
        TITLER_WAREHOUSE__LOCATION      = var.location
        TITLER_TRACKING__URI            = var.tracking_uri
      }
      airflow_config_overrides = {
        celery-worker_concurrency        = "3"
        core-parallelism                 = "9"
        core-dags_are_paused_at_creation = "False"
      }
    }
    workloads_config {
      worker {
        cpu = 2
        # Three tasks: `train` and `predict` with at most 2.5 GiB each, another with 1.5 (docs/airflow.md).
        memory_gb = 8
        min_count = 1
        max_count = 3 # with three tasks each, which makes core-parallelism
      }
    }
    node_config {
      service_account = google_service_account.task.email
    }
  }
  depends_on = [google_project_iam_member.composer_worker]
}

resource "google_project_iam_member" "composer_worker" {
  count   = local.composer ? 1 : 0
  project = var.project
  role    = "roles/composer.worker"
  member  = google_service_account.task.member
}

resource "google_artifact_registry_repository" "python" {
  count         = local.composer ? 1 : 0
  repository_id = "titler-python"
  location      = lower(var.location)
  format        = "PYTHON"
  depends_on    = [google_project_service.used]
}

resource "google_artifact_registry_repository_iam_member" "composer_installs" {
  count      = local.composer ? 1 : 0
  repository = google_artifact_registry_repository.python[0].name
  location   = google_artifact_registry_repository.python[0].location
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.task.member
}
