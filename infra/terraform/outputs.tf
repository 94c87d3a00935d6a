output "settings" {
  description = "The values of lake.root, warehouse.project and both datasets for infra/cloud.toml."
  value = {
    TITLER_LAKE__ROOT               = "gs://${google_storage_bucket.lake.name}/lake"
    TITLER_WAREHOUSE__PROJECT       = var.project
    TITLER_WAREHOUSE__DATASET       = google_bigquery_dataset.titler.dataset_id
    TITLER_WAREHOUSE__VIEWS_DATASET = google_bigquery_dataset.views.dataset_id
  }
}

output "database_address" {
  description = "PostgreSQL's private address, for databases.sh and make_secrets.py."
  value       = local.gke ? google_sql_database_instance.titler[0].private_ip_address : null
}

output "images" {
  description = "The registry to push images to."
  value       = "${google_artifact_registry_repository.images.location}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}
