# Three buckets. The lake's files never change but for its pointers and keys, so old versions cost little and undo a mistake.

resource "google_storage_bucket" "lake" {
  name                        = local.lake_bucket
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
  lifecycle_rule { # what `titler collect` removed, and pointers that were replaced
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }
  lifecycle_rule { # a killed task's
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
  location      = lower(var.location) # us-docker.pkg.dev, as infra/kubernetes names it
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
