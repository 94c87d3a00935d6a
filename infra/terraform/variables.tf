variable "project" {
  description = "The Google Cloud project for everything, which also pays; my-project in infra/cloud.toml."
  type        = string
}

variable "region" {
  description = "The machines' region. It should be in warehouse.location: every night reads the lake."
  type        = string
  default     = "us-central1"
}

variable "location" {
  description = "Location of the dataset and buckets: warehouse.location. GH Archive can be read only from US."
  type        = string
  default     = "US"
}

variable "dataset" {
  description = "The BigQuery dataset: warehouse.dataset."
  type        = string
  default     = "titler"
}

variable "orchestrator" {
  description = "What Airflow runs on: gke (with a GPU pool) or composer (Google's managed Airflow, no GPU)."
  type        = string
  default     = "gke"

  validation {
    condition     = contains(["gke", "composer"], var.orchestrator)
    error_message = "orchestrator: expected gke or composer."
  }
}

variable "operators" {
  description = "May act as the tasks' account, read logs and secrets, use the cluster: group:ops@example.com"
  type        = set(string)
  default     = []
}

variable "analysts" {
  description = "May run queries, and read the dataset with the views and functions: group:analysts@example.com"
  type        = set(string)
  default     = []
}

variable "published" {
  description = "Set to true after the first release has created the functions: lets them read the tables."
  type        = bool
  default     = false
}

variable "billing_account" {
  description = "The billing account of the budget, like 012345-6789AB-CDEF01."
  type        = string
}

variable "budget" {
  description = "Per month, in the billing currency. E-mails at 50, 90 and 100% and a forecast of 100%. Stops nothing."
  type        = number
  default     = 300
}

variable "alert_email" {
  description = "The address for the budget's e-mails."
  type        = string
}

variable "gpu_nodes" {
  description = "Maximum number of GPU nodes; the minimum is 0. One training runs at a time (pool gpu)."
  type        = number
  default     = 1
}

variable "task_nodes" {
  description = "Maximum number of nodes for everything else; the minimum is 1."
  type        = number
  default     = 4
}

variable "administrators" {
  description = "Address ranges that may reach the cluster's API, by name: { office = \"203.0.113.0/24\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = var.orchestrator != "gke" || length(var.administrators) > 0
    error_message = "administrators: expected an address range; otherwise kubectl cannot reach the cluster."
  }
}

variable "tracking_uri" {
  description = "Only for composer: the address of an MLflow server that its workers can reach (tracking.uri)."
  type        = string
  default     = ""

  validation {
    condition     = var.orchestrator != "composer" || can(regex("^https?://", var.tracking_uri))
    error_message = "tracking_uri: expected an MLflow server's address, like https://mlflow.example.com."
  }
}

variable "composer_image" {
  description = "Composer's image version, with an Airflow version that setup.py allows."
  type        = string
  default     = "composer-3-airflow-3"
}
