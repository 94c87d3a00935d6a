# Google's own Airflow instead of a cluster: orchestrator = "composer". It trains on the CPU. Its workers need `titler` on their PATH
# (docs/airflow.md): the package and its dependencies are installed with gcloud, from the lock; infra/README.md says how.

resource "google_composer_environment" "titler" {
  count  = local.composer ? 1 : 0
  name   = "titler"
  region = var.region

  config {
    software_config {
      image_version = var.composer_image
      env_variables = {
        TITLER_LAKE__ROOT          = "gs://${local.lake_bucket}/lake"
        TITLER_WAREHOUSE__KIND     = "bigquery"
        TITLER_WAREHOUSE__PROJECT  = var.project
        TITLER_WAREHOUSE__DATASET  = var.dataset
        TITLER_WAREHOUSE__LOCATION = var.location
      }
      airflow_config_overrides = {
        core-plugins_folder   = "/home/airflow/gcs/dags/plugins"
        core-default_timezone = "utc"
      }
    }
    workloads_config {
      worker {
        cpu       = 2
        memory_gb = 8 # four tasks: one that trains and one that writes titles, of 2.5 GiB at most, two of 1.5
        min_count = 1
        max_count = 3
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
