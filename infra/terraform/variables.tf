variable "project" {
  description = "The project that holds everything and pays for it; infra/cloud.toml calls it my-project."
  type        = string
}

variable "region" {
  description = "Where machines run. In warehouse.location, or a night reads its lake across an ocean."
  type        = string
  default     = "us-central1"
}

variable "location" {
  description = "Where the data set and the buckets lie: warehouse.location. GH Archive's data set lies in US, and BigQuery joins nothing across."
  type        = string
  default     = "US"
}

variable "dataset" {
  description = "The data set: warehouse.dataset."
  type        = string
  default     = "titler"
}

variable "orchestrator" {
  description = "What Airflow runs on: gke (a cluster with a GPU pool, and Airflow's chart) or composer (Google's own Airflow, no GPU)."
  type        = string
  default     = "gke"

  validation {
    condition     = contains(["gke", "composer"], var.orchestrator)
    error_message = "orchestrator: expected gke or composer."
  }
}

variable "operators" {
  description = "Who runs it: members like group:data@example.com. They may act as the task's account, read logs and secrets, and reach the cluster."
  type        = set(string)
  default     = []
}

variable "analysts" {
  description = "Who queries it: members like group:analysts@example.com. They may query, and read the views and functions alone."
  type        = set(string)
  default     = []
}

variable "published" {
  description = "Whether a first release is published. Its views exist from then on, and analysts are let in to them: apply once more with true."
  type        = bool
  default     = false
}

variable "billing_account" {
  description = "The billing account that the budget watches, like 012345-6789AB-CDEF01."
  type        = string
}

variable "budget" {
  description = "A month's, in the billing account's currency: messages at a half, nine tenths, all of it, and by forecast. It stops nothing."
  type        = number
  default     = 300
}

variable "alert_email" {
  description = "Who gets the budget's messages."
  type        = string
}

variable "gpu_nodes" {
  description = "GPU nodes at most; at least, and almost always, there are none. One training runs at a time (the pool gpu)."
  type        = number
  default     = 1
}

variable "task_nodes" {
  description = "Nodes for everything else, at most."
  type        = number
  default     = 4
}

variable "administrators" {
  description = "Addresses that may reach the cluster's API, by a name: { office = \"203.0.113.0/24\" }."
  type        = map(string)
  default     = {}

  validation {
    condition     = var.orchestrator != "gke" || length(var.administrators) > 0
    error_message = "administrators: expected one address or more, by a name; kubectl and helm could not reach the cluster from anywhere."
  }
}

variable "tracking_uri" {
  description = "With composer, which has no MLflow: the address of a server that its workers reach, tracking.uri."
  type        = string
  default     = ""

  validation {
    condition     = var.orchestrator != "composer" || can(regex("^https?://", var.tracking_uri))
    error_message = "tracking_uri: expected an MLflow server's address, like https://mlflow.example.com; many workers share no SQLite file."
  }
}

variable "composer_image" {
  description = "Composer's version, of an Airflow that setup.py allows."
  type        = string
  default     = "composer-3-airflow-3"
}
