# Titler on Google Cloud: where the pipeline writes, who has which permissions, and what it runs on. The
# pipeline creates tables, views and functions itself (pipeline/contracts.py, sql/). infra/README.md has the
# commands.

terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 8.7"
    }
  }
  # Terraform's state is in a versioned bucket, which you create once by hand:
  # terraform init -backend-config=bucket=my-project-titler-state
  backend "gcs" {
    prefix = "titler"
  }
}

provider "google" {
  project               = var.project
  region                = var.region
  billing_project       = var.project
  user_project_override = true # the budget API needs a project to charge its quota to
}

locals {
  composer = var.orchestrator == "composer"
  gke      = var.orchestrator == "gke"
  # The names must match infra/cloud.toml and infra/kubernetes.
  lake_bucket   = "${var.project}-titler-lake"
  views_dataset = "${var.dataset}_views"
  functions     = toset([for file in fileset("${path.module}/../../sql/functions", "*.sql") : trimsuffix(file, ".sql")])
  services = concat([
    "artifactregistry.googleapis.com", "bigquery.googleapis.com", "bigquerystorage.googleapis.com",
    "billingbudgets.googleapis.com", "cloudresourcemanager.googleapis.com", "iam.googleapis.com",
    "iamcredentials.googleapis.com", "monitoring.googleapis.com", "secretmanager.googleapis.com",
    "serviceusage.googleapis.com", "storage.googleapis.com",
    ], local.composer ? ["composer.googleapis.com"] : [
    "compute.googleapis.com", "container.googleapis.com", "servicenetworking.googleapis.com",
    "sqladmin.googleapis.com",
  ])
}

resource "google_project_service" "used" {
  for_each           = toset(local.services)
  service            = each.value
  disable_on_destroy = false # others in the project may use the service
}
