# A budget that sends e-mails; it stops nothing. To limit BigQuery, set warehouse.max_bytes_per_run and
# warehouse.max_bytes_per_day in Titler's settings.

resource "google_monitoring_notification_channel" "owner" {
  display_name = "Titler's owner"
  type         = "email"
  labels = {
    email_address = var.alert_email
  }
  depends_on = [google_project_service.used]
}

resource "google_billing_budget" "titler" {
  billing_account = var.billing_account
  display_name    = "titler"

  budget_filter {
    projects = ["projects/${data.google_project.here.number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.budget)
    }
  }
  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }
  all_updates_rule {
    monitoring_notification_channels = [google_monitoring_notification_channel.owner.id]
  }
}

data "google_project" "here" {
  project_id = var.project
}
