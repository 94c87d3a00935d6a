# For orchestrator = "gke": a private cluster, two node pools, and PostgreSQL for Airflow and MLflow. The GPU
# pool has no nodes while nothing trains.

resource "google_compute_network" "titler" {
  count                   = local.gke ? 1 : 0
  name                    = "titler"
  auto_create_subnetworks = false
  depends_on              = [google_project_service.used]
}

resource "google_compute_subnetwork" "titler" {
  count                    = local.gke ? 1 : 0
  name                     = "titler"
  network                  = google_compute_network.titler[0].id
  region                   = var.region
  ip_cidr_range            = "10.60.0.0/22"
  private_ip_google_access = true
  secondary_ip_range {
    range_name    = "pods"
    ip_cidr_range = "10.61.0.0/16"
  }
  secondary_ip_range {
    range_name    = "services"
    ip_cidr_range = "10.62.0.0/20"
  }
}

# Nodes have no public address: they fetch hour files and send alerts through this NAT gateway.
resource "google_compute_router" "titler" {
  count   = local.gke ? 1 : 0
  name    = "titler"
  network = google_compute_network.titler[0].id
  region  = var.region
}

resource "google_compute_router_nat" "titler" {
  count                              = local.gke ? 1 : 0
  name                               = "titler"
  router                             = google_compute_router.titler[0].name
  region                             = var.region
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

resource "google_service_account" "node" {
  count        = local.gke ? 1 : 0
  account_id   = "titler-node"
  display_name = "Titler's nodes: pull images, write metrics and logs, nothing else"
  depends_on   = [google_project_service.used]
}

resource "google_project_iam_member" "node" {
  count   = local.gke ? 1 : 0
  project = var.project
  role    = "roles/container.defaultNodeServiceAccount"
  member  = google_service_account.node[0].member
}

resource "google_artifact_registry_repository_iam_member" "node_pulls" {
  count      = local.gke ? 1 : 0
  repository = google_artifact_registry_repository.images.name
  location   = google_artifact_registry_repository.images.location
  role       = "roles/artifactregistry.reader"
  member     = google_service_account.node[0].member
}

resource "google_container_cluster" "titler" {
  count                    = local.gke ? 1 : 0
  name                     = "titler"
  location                 = "${var.region}-a" # one zone: a regional cluster would cost too much
  network                  = google_compute_network.titler[0].id
  subnetwork               = google_compute_subnetwork.titler[0].id
  remove_default_node_pool = true
  initial_node_count       = 1
  datapath_provider        = "ADVANCED_DATAPATH" # enforces network policies: infra/kubernetes/titler.yaml
  deletion_protection      = true

  ip_allocation_policy {
    cluster_secondary_range_name  = "pods"
    services_secondary_range_name = "services"
  }
  private_cluster_config {
    enable_private_nodes   = true
    master_ipv4_cidr_block = "10.63.0.0/28"
  }
  master_authorized_networks_config {
    gcp_public_cidrs_access_enabled = false # otherwise Google Cloud's own addresses may be let in, too
    dynamic "cidr_blocks" {
      for_each = var.administrators
      content {
        cidr_block   = cidr_blocks.value
        display_name = cidr_blocks.key
      }
    }
  }
  release_channel {
    channel = "REGULAR"
  }
  workload_identity_config {
    workload_pool = "${var.project}.svc.id.goog"
  }
}

resource "google_container_node_pool" "tasks" {
  count    = local.gke ? 1 : 0
  name     = "tasks"
  cluster  = google_container_cluster.titler[0].id
  location = google_container_cluster.titler[0].location

  autoscaling {
    total_min_node_count = 1
    total_max_node_count = var.task_nodes
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  node_config {
    # 16 GiB: Airflow, MLflow and Dask, and room for the largest task, 6 GiB (dags/_pod.py).
    machine_type    = "e2-standard-4"
    service_account = google_service_account.node[0].email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"] # its IAM roles limit what it may do
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

resource "google_container_node_pool" "gpu" {
  count    = local.gke ? 1 : 0
  name     = "gpu"
  cluster  = google_container_cluster.titler[0].id
  location = google_container_cluster.titler[0].location

  autoscaling {
    total_min_node_count = 0
    total_max_node_count = var.gpu_nodes
  }
  management {
    auto_repair  = true
    auto_upgrade = true
  }
  node_config {
    # 16 GiB, for the 8 GiB of `train`. GKE taints GPU nodes with nvidia.com/gpu: [titler_pods] gpu_taints.
    machine_type    = "g2-standard-4"
    service_account = google_service_account.node[0].email
    oauth_scopes    = ["https://www.googleapis.com/auth/cloud-platform"]
    guest_accelerator {
      type  = "nvidia-l4" # must match [titler_pods] gpu_selector
      count = 1
      gpu_driver_installation_config {
        gpu_driver_version = "LATEST"
      }
    }
    shielded_instance_config {
      enable_secure_boot          = true
      enable_integrity_monitoring = true
    }
    workload_metadata_config {
      mode = "GKE_METADATA"
    }
  }
}

resource "google_compute_global_address" "database" {
  count         = local.gke ? 1 : 0
  name          = "titler-database"
  network       = google_compute_network.titler[0].id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  address       = "10.64.0.0"
  prefix_length = 20
}

resource "google_service_networking_connection" "database" {
  count                   = local.gke ? 1 : 0
  network                 = google_compute_network.titler[0].id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database[0].name]
}

# infra/entrypoints/databases.sh creates its databases and users, as for infra/compose.yaml.
resource "google_sql_database_instance" "titler" {
  count               = local.gke ? 1 : 0
  name                = "titler"
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = true

  settings {
    edition           = "ENTERPRISE"
    tier              = "db-custom-1-3840"
    availability_type = "ZONAL"
    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }
    dynamic "database_flags" {
      for_each = toset(["log_checkpoints", "log_connections", "log_disconnections", "log_lock_waits"])
      content {
        name  = database_flags.value
        value = "on"
      }
    }
    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.titler[0].id
      ssl_mode        = "ENCRYPTED_ONLY"
    }
  }
  depends_on = [google_service_networking_connection.database]
}
