# One service account per role, with the permissions it needs and without keys. Pods use them by workload
# identity, people by impersonation.

resource "google_service_account" "task" {
  account_id   = "titler-task"
  display_name = "Titler's tasks and Dask's workers"
  depends_on   = [google_project_service.used]
}

resource "google_service_account" "airflow" {
  account_id   = "titler-airflow"
  display_name = "Airflow's components"
  depends_on   = [google_project_service.used]
}

resource "google_service_account" "mlflow" {
  account_id   = "titler-mlflow"
  display_name = "MLflow's server"
  depends_on   = [google_project_service.used]
}

resource "google_service_account" "serve" {
  account_id   = "titler-serve"
  display_name = "titler serve, which answers over HTTP"
  depends_on   = [google_project_service.used]
}

resource "google_storage_bucket_iam_member" "objects" {
  for_each = {
    "a task reads and writes the lake"      = [google_storage_bucket.lake.name, google_service_account.task.member]
    "a task writes its log"                 = [google_storage_bucket.logs.name, google_service_account.task.member]
    "Airflow notes what it has told"        = [google_storage_bucket.lake.name, google_service_account.airflow.member]
    "Airflow shows logs, a triggerer's too" = [google_storage_bucket.logs.name, google_service_account.airflow.member]
    "MLflow keeps what others log"          = [google_storage_bucket.mlflow.name, google_service_account.mlflow.member]
  }
  bucket = each.value[0]
  role   = "roles/storage.objectUser"
  member = each.value[1]
}

# Tasks store the artifacts of trainings in the lake; MLflow's server shows them.
resource "google_storage_bucket_iam_member" "mlflow_reads_lake" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.mlflow.member
}

# `titler serve` only reads: a fault in it, or in its token, cannot change a release.
resource "google_storage_bucket_iam_member" "serve_reads_lake" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.serve.member
}

# Maps Kubernetes service accounts of the namespace titler, as infra/kubernetes names them, to the accounts
# above.
resource "google_service_account_iam_member" "pod" {
  for_each = local.gke ? {
    "titler-task"           = google_service_account.task.name
    "airflow-api-server"    = google_service_account.airflow.name
    "airflow-dag-processor" = google_service_account.airflow.name
    "airflow-scheduler"     = google_service_account.airflow.name
    "airflow-triggerer"     = google_service_account.airflow.name
    "titler-mlflow"         = google_service_account.mlflow.name
    "titler-serve"          = google_service_account.serve.name
  } : {}
  service_account_id = each.value
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[titler/${each.key}]"
  depends_on         = [google_container_cluster.titler] # the cluster creates the workload identity pool
}

# Operators may run `titler` as the tasks' account:
# gcloud auth application-default login --impersonate-service-account
resource "google_service_account_iam_member" "operator_acts_as_task" {
  for_each           = var.operators
  service_account_id = google_service_account.task.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = each.value
}

resource "google_storage_bucket_iam_member" "operator_reads_logs" {
  for_each = var.operators
  bucket   = google_storage_bucket.logs.name
  role     = "roles/storage.objectViewer"
  member   = each.value
}

resource "google_project_iam_member" "operator_reaches_cluster" {
  for_each = local.gke ? var.operators : []
  project  = var.project
  role     = "roles/container.developer"
  member   = each.value
}

# The passwords and keys that infra/compose_env.py writes and infra/kubernetes/make_secrets.py passes to the
# cluster. Their values never go through Terraform, because its state would contain them. To store them:
# gcloud secrets versions add titler-env --data-file=FILE
resource "google_secret_manager_secret" "env" {
  secret_id = "titler-env"
  replication {
    auto {}
  }
  depends_on = [google_project_service.used]
}

resource "google_secret_manager_secret_iam_member" "operator_reads_env" {
  for_each  = var.operators
  secret_id = google_secret_manager_secret.env.secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = each.value
}
