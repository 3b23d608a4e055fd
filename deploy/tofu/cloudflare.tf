# In front of the load balancer: people log in here first, Twilio and the links in texts do not.

data "cloudflare_ip_ranges" "published" {}

locals {
  cloudflare_ranges = coalesce(var.cloudflare_ranges, {
    ipv4 = data.cloudflare_ip_ranges.published.ipv4_cidrs
    ipv6 = data.cloudflare_ip_ranges.published.ipv6_cidrs
  })
  # Their own proof is the signature of Twilio, and that of the link: docs/identity.md.
  open_paths = ["twilio", "j"]
}

resource "cloudflare_dns_record" "strike" {
  zone_id = var.cloudflare_zone_id
  name    = var.host
  type    = "CNAME"
  content = aws_lb.strike.dns_name
  proxied = true
  ttl     = 1
}

resource "cloudflare_zero_trust_access_policy" "people" {
  account_id = var.cloudflare_account_id
  name       = "${var.name}: people"
  decision   = "allow"
  include    = [for domain in var.access_email_domains : { email_domain = { domain = domain } }]
}

# Machines: besides their API token they bring a service token of Access.
resource "cloudflare_zero_trust_access_policy" "machines" {
  account_id = var.cloudflare_account_id
  name       = "${var.name}: machines"
  decision   = "non_identity"
  include    = [{ any_valid_service_token = {} }]
}

resource "cloudflare_zero_trust_access_policy" "anybody" {
  account_id = var.cloudflare_account_id
  name       = "${var.name}: whoever brings another proof"
  decision   = "bypass"
  include    = [{ everyone = {} }]
}

resource "cloudflare_zero_trust_access_application" "strike" {
  zone_id                    = var.cloudflare_zone_id
  name                       = var.name
  domain                     = var.host
  type                       = "self_hosted"
  session_duration           = "12h"
  http_only_cookie_attribute = true
  same_site_cookie_attribute = "lax"
  policies = [
    { id = cloudflare_zero_trust_access_policy.people.id, precedence = 1 },
    { id = cloudflare_zero_trust_access_policy.machines.id, precedence = 2 },
  ]
}

resource "cloudflare_zero_trust_access_application" "open" {
  for_each = toset(local.open_paths)

  zone_id  = var.cloudflare_zone_id
  name     = "${var.name}: /${each.key}"
  domain   = "${var.host}/${each.key}"
  type     = "self_hosted"
  policies = [{ id = cloudflare_zero_trust_access_policy.anybody.id, precedence = 1 }]
}

# What is no webhook of Twilio's is turned away at the edge; what looks like one is never put off by a
# check for robots, because Twilio tries again for 15 s only. Whether it is one, Strike decides.
resource "cloudflare_ruleset" "twilio" {
  zone_id = var.cloudflare_zone_id
  name    = "${var.name}: Twilio's webhooks"
  kind    = "zone"
  phase   = "http_request_firewall_custom"
  rules = [
    {
      ref         = "no_webhook"
      description = "Only POST, and only with a signature"
      expression  = "http.host eq \"${var.host}\" and starts_with(http.request.uri.path, \"/twilio/\") and (http.request.method ne \"POST\" or not any(http.request.headers.names[*] eq \"x-twilio-signature\"))"
      action      = "block"
    },
    {
      ref         = "webhook"
      description = "Twilio is a robot"
      expression  = "http.host eq \"${var.host}\" and starts_with(http.request.uri.path, \"/twilio/\")"
      action      = "skip"
      action_parameters = {
        phases   = ["http_ratelimit", "http_request_sbfm", "http_request_firewall_managed"]
        products = ["bic", "hot", "securityLevel", "uaBlock", "zoneLockdown"]
      }
    },
  ]
}
