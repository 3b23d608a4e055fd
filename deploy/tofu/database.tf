# All that Strike knows, but for the key of its secrets.

resource "aws_db_subnet_group" "database" {
  name       = var.name
  subnet_ids = var.private_subnet_ids
}

resource "aws_security_group" "database" {
  name        = "${var.name}-database"
  description = "From Strike's pods alone"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  for_each = toset(var.pod_cidrs)

  security_group_id = aws_security_group.database.id
  description       = "Strike"
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
  cidr_ipv4         = each.value
}

resource "random_password" "database" {
  length = 40
}

resource "aws_db_parameter_group" "database" {
  name   = var.name
  family = "postgres18"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  # A page is not lost with the machine: an acknowledged commit is on two disks.
  parameter {
    name  = "synchronous_commit"
    value = "on"
  }
}

resource "aws_db_instance" "database" {
  identifier     = var.name
  engine         = "postgres"
  engine_version = "18"
  instance_class = var.database_class
  db_name        = "strike"
  username       = "strike"
  password       = random_password.database.result

  multi_az              = true
  storage_type          = "gp3"
  allocated_storage     = var.database_gigabytes.start
  max_allocated_storage = var.database_gigabytes.most
  storage_encrypted     = true
  kms_key_id            = aws_kms_key.storage.arn

  db_subnet_group_name   = aws_db_subnet_group.database.name
  vpc_security_group_ids = [aws_security_group.database.id]
  parameter_group_name   = aws_db_parameter_group.database.name
  publicly_accessible    = false

  backup_retention_period    = var.backup_days
  copy_tags_to_snapshot      = true
  deletion_protection        = true
  skip_final_snapshot        = false
  final_snapshot_identifier  = "${var.name}-last"
  auto_minor_version_upgrade = true

  performance_insights_enabled = true
}

# Strike asks it for pages and lists, and the database itself while it is away or behind.
resource "aws_db_instance" "replica" {
  count = var.has_replica ? 1 : 0

  identifier          = "${var.name}-replica"
  replicate_source_db = aws_db_instance.database.identifier
  instance_class      = var.database_class
  storage_encrypted   = true

  vpc_security_group_ids = [aws_security_group.database.id]
  parameter_group_name   = aws_db_parameter_group.database.name
  publicly_accessible    = false
  skip_final_snapshot    = true

  auto_minor_version_upgrade   = true
  performance_insights_enabled = true
}

data "aws_region" "here" {}

# Who signs the database's certificate: Strike believes no other. Of one region: all of them together are
# too large for a secret.
data "http" "database_ca" {
  url = "https://truststore.pki.rds.amazonaws.com/${data.aws_region.here.region}/${data.aws_region.here.region}-bundle.pem"
}
