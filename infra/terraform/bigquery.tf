# The dataset only: the pipeline creates its tables, views and functions.

resource "google_bigquery_dataset" "titler" {
  dataset_id                 = var.dataset
  location                   = var.location
  friendly_name              = "Titler"
  description                = "Titles, embeddings and similar issues of GitHub's public issues. Query the views."
  delete_contents_on_destroy = false
  depends_on                 = [google_project_service.used]
}

# All permissions on the dataset are google_bigquery_dataset_access: IAM resources for the dataset would
# remove those of the views and functions below.
resource "google_bigquery_dataset_access" "task_writes" {
  dataset_id    = google_bigquery_dataset.titler.dataset_id
  role          = "WRITER" # the dataset's own name for roles/bigquery.dataEditor
  user_by_email = google_service_account.task.email
}

resource "google_project_iam_member" "task_queries" {
  for_each = toset(["roles/bigquery.jobUser", "roles/bigquery.readSessionUser"])
  project  = var.project
  role     = each.value
  member   = google_service_account.task.member
}

resource "google_project_iam_member" "analyst_queries" {
  for_each = var.analysts
  project  = var.project
  role     = "roles/bigquery.jobUser"
  member   = each.value
}

# Analysts read views and functions only. The dataset authorises these to read the tables on the analysts'
# behalf.
resource "google_bigquery_table_iam_member" "analyst_reads_view" {
  for_each   = { for pair in setproduct(local.views, var.analysts) : join(" ", pair) => pair if var.published }
  dataset_id = google_bigquery_dataset.titler.dataset_id
  table_id   = each.value[0]
  role       = "roles/bigquery.dataViewer"
  member     = each.value[1]
}

resource "google_bigquery_routine_iam_member" "analyst_calls_function" {
  for_each   = { for pair in setproduct(local.functions, var.analysts) : join(" ", pair) => pair if var.published }
  dataset_id = google_bigquery_dataset.titler.dataset_id
  routine_id = each.value[0]
  role       = "roles/bigquery.dataViewer"
  member     = each.value[1]
}

resource "google_bigquery_dataset_access" "view_reads_tables" {
  for_each   = var.published ? local.views : []
  dataset_id = google_bigquery_dataset.titler.dataset_id
  view {
    project_id = var.project
    dataset_id = google_bigquery_dataset.titler.dataset_id
    table_id   = each.value
  }
}

resource "google_bigquery_dataset_access" "function_reads_tables" {
  for_each   = var.published ? local.functions : []
  dataset_id = google_bigquery_dataset.titler.dataset_id
  routine {
    project_id = var.project
    dataset_id = google_bigquery_dataset.titler.dataset_id
    routine_id = each.value
  }
}
