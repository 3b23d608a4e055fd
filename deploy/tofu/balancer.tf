# People log in here a second time; who has another proof is let through to Strike, which checks it.

resource "aws_security_group" "balancer" {
  name        = "${var.name}-balancer"
  description = "From Cloudflare alone"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "cloudflare_ipv4" {
  for_each = toset(local.cloudflare_ranges.ipv4)

  security_group_id = aws_security_group.balancer.id
  description       = "Cloudflare"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = each.value
}

resource "aws_vpc_security_group_ingress_rule" "cloudflare_ipv6" {
  for_each = toset(local.cloudflare_ranges.ipv6)

  security_group_id = aws_security_group.balancer.id
  description       = "Cloudflare"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv6         = each.value
}

resource "aws_vpc_security_group_egress_rule" "pods" {
  for_each = toset(var.pod_cidrs)

  security_group_id = aws_security_group.balancer.id
  description       = "The API"
  ip_protocol       = "tcp"
  from_port         = 8080
  to_port           = 8080
  cidr_ipv4         = each.value
}

# It asks the login itself for tokens.
resource "aws_vpc_security_group_egress_rule" "login" {
  security_group_id = aws_security_group.balancer.id
  description       = "The login"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_lb" "strike" {
  name                       = var.name
  load_balancer_type         = "application"
  subnets                    = var.public_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = true
  # A stream of changes is silent as long as nothing changes; Strike's heartbeat is every 30 s.
  idle_timeout = 120
}

resource "aws_lb_target_group" "api" {
  name                 = var.name
  vpc_id               = var.vpc_id
  target_type          = "ip"
  protocol             = "HTTP"
  port                 = 8080
  deregistration_delay = 15

  health_check {
    path                = "/readyz"
    interval            = 5
    timeout             = 4
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.strike.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate_arn

  default_action {
    type  = "authenticate-oidc"
    order = 1

    authenticate_oidc {
      issuer                     = var.oidc.issuer
      authorization_endpoint     = var.oidc.authorization_endpoint
      token_endpoint             = var.oidc.token_endpoint
      user_info_endpoint         = var.oidc.user_info_endpoint
      client_id                  = var.oidc.client_id
      client_secret              = var.oidc_client_secret
      scope                      = "openid email profile"
      session_timeout            = 43200
      on_unauthenticated_request = "authenticate"
    }
  }

  default_action {
    type             = "forward"
    order            = 2
    target_group_arn = aws_lb_target_group.api.arn
  }
}

resource "aws_lb_listener_rule" "other_proof" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 10

  condition {
    path_pattern { values = [for path in local.open_paths : "/${path}/*"] }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}

resource "aws_lb_listener_rule" "machines" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 20

  condition {
    http_header {
      http_header_name = "Authorization"
      values           = ["Bearer strike_*"]
    }
  }

  action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.api.arn
  }
}
