# Two keys, so that a copy of the database and the right to its disk open no secret in it.

resource "aws_kms_key" "storage" {
  description             = "${var.name}: the database's disk and its login"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_key" "secrets" {
  description             = "${var.name}: wraps the secrets that Strike stores (docs/secrets.md)"
  enable_key_rotation     = true
  deletion_window_in_days = 30
}

resource "aws_kms_alias" "secrets" {
  name          = "alias/${var.name}-secrets"
  target_key_id = aws_kms_key.secrets.key_id
}

data "aws_iam_policy_document" "pods" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [var.cluster_oidc_provider.arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.cluster_oidc_provider.url}:sub"
      values   = ["system:serviceaccount:${var.namespace}:strike"]
    }

    condition {
      test     = "StringEquals"
      variable = "${var.cluster_oidc_provider.url}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "secrets" {
  statement {
    actions   = ["kms:Encrypt", "kms:Decrypt"]
    resources = [aws_kms_key.secrets.arn]
  }
}

resource "aws_iam_role" "strike" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.pods.json
}

resource "aws_iam_role_policy" "secrets" {
  name   = "secrets"
  role   = aws_iam_role.strike.id
  policy = data.aws_iam_policy_document.secrets.json
}

# External Secrets brings it to the cluster: deploy/kubernetes/main/secrets.
resource "aws_secretsmanager_secret" "database" {
  name       = "${var.name}/database"
  kms_key_id = aws_kms_key.storage.arn
}

resource "aws_secretsmanager_secret_version" "database" {
  secret_id = aws_secretsmanager_secret.database.id
  secret_string = jsonencode({
    host         = aws_db_instance.database.address
    name         = aws_db_instance.database.db_name
    username     = aws_db_instance.database.username
    password     = random_password.database.result
    # Empty without one.
    replica_host = join("", aws_db_instance.replica[*].address)
    ca           = data.http.database_ca.response_body
  })
}
