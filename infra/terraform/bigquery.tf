# Two datasets: the tables, which only tasks read, and the views and functions on them, which analysts read. The
# pipeline creates tables, views and functions itself.

resource "google_bigquery_dataset" "titler" {
  dataset_id                 = var.dataset
  location                   = var.location
  friendly_name              = "Titler's tables"
  description                = "Titles, embeddings and similar issues of GitHub's public issues. Query the views in ${local.views_dataset}."
  delete_contents_on_destroy = false
  depends_on                 = [google_project_service.used]
}

resource "google_bigquery_dataset" "views" {
  dataset_id                 = local.views_dataset
  location                   = var.location
  friendly_name              = "Titler"
  description                = "Views of titles, embeddings and similar issues of GitHub's public issues."
  delete_contents_on_destroy = false
  depends_on                 = [google_project_service.used]
}

# All permissions on the datasets are google_bigquery_dataset_access: IAM resources for a dataset would remove
# those of the views and functions below.
resource "google_bigquery_dataset_access" "task_writes" {
  for_each      = toset([google_bigquery_dataset.titler.dataset_id, google_bigquery_dataset.views.dataset_id])
  dataset_id    = each.value
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

# Analysts read the views and functions, and not the tables, which these read on the analysts' behalf.
resource "google_bigquery_dataset_access" "analyst_reads_views" {
  for_each   = var.analysts
  dataset_id = google_bigquery_dataset.views.dataset_id
  role       = "READER" # the dataset's own name for roles/bigquery.dataViewer
  iam_member = each.value
}

# Every view of this dataset, those that a later release replaces or adds included.
resource "google_bigquery_dataset_access" "views_read_tables" {
  dataset_id = google_bigquery_dataset.titler.dataset_id
  dataset {
    dataset {
      project_id = var.project
      dataset_id = google_bigquery_dataset.views.dataset_id
    }
    target_types = ["VIEWS"]
  }
}

# The provider can authorise functions only one by one, and only after they exist.
resource "google_bigquery_dataset_access" "function_reads_tables" {
  for_each   = var.published ? local.functions : []
  dataset_id = google_bigquery_dataset.titler.dataset_id
  routine {
    project_id = var.project
    dataset_id = google_bigquery_dataset.views.dataset_id
    routine_id = each.value
  }
}
