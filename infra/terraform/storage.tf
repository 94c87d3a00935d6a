# Three buckets and the image registry. Files in the lake never change, except pointers and keys, so keeping
# old versions costs little and allows to undo a mistake.

resource "google_storage_bucket" "lake" {
  name                        = local.lake_bucket
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
  # Tasks can delete old versions, too. Nobody can delete what is soft-deleted, for 7 days.
  soft_delete_policy {
    retention_duration_seconds = 604800
  }
  lifecycle_rule { # files that `titler collect` removed, and replaced pointers
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }
  lifecycle_rule { # uploads of killed tasks
    condition {
      age = 7
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_storage_bucket" "mlflow" {
  name                        = "${var.project}-titler-mlflow"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "google_storage_bucket" "logs" {
  name                        = "${var.project}-titler-logs"
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  lifecycle_rule {
    condition {
      age = 90
    }
    action {
      type = "Delete"
    }
  }
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "titler"
  location      = lower(var.location) # us-docker.pkg.dev, the host in infra/kubernetes
  format        = "DOCKER"

  cleanup_policies {
    id     = "untagged"
    action = "DELETE"
    condition {
      tag_state  = "UNTAGGED"
      older_than = "2592000s" # 30 days
    }
  }
  depends_on = [google_project_service.used]
}
