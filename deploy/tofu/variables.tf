variable "name" {
  description = "What everything is called by, and the first part of the secrets' names: strike, or strike-demo."
  type        = string
  default     = "strike"
}

variable "host" {
  description = "The name under which people and Twilio reach Strike."
  type        = string
}

variable "vpc_id" {
  description = "The network that all of it is in."
  type        = string
}

variable "public_subnet_ids" {
  description = "Where the load balancer is; of two zones at least."
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Where the database is; of two zones at least."
  type        = list(string)
}

variable "pod_cidrs" {
  description = "Where Strike's pods are: who may reach the database, and whom the load balancer sends to."
  type        = list(string)
}

variable "certificate_arn" {
  description = "Certificate of the host, in ACM."
  type        = string
}

variable "database_class" {
  description = "Size of the database; docs/performance.md has figures."
  type        = string
  default     = "db.r8g.large"
}

variable "has_replica" {
  description = "Whether a replica answers what may be seconds old; docs/sizing.md says from when on."
  type        = bool
  default     = false
}

variable "database_gigabytes" {
  description = "Disk of the database at the start, and up to which it may grow by itself."
  type        = object({ start = number, most = number })
  default     = { start = 100, most = 1000 }
}

variable "backup_days" {
  description = "Any second of so many days can be gone back to."
  type        = number
  default     = 14
}

variable "oidc" {
  description = "The login that the load balancer asks of people."
  type = object({
    issuer                 = string
    authorization_endpoint = string
    token_endpoint         = string
    user_info_endpoint     = string
    client_id              = string
  })
}

variable "oidc_client_secret" {
  description = "Of that login."
  type        = string
  sensitive   = true
}

variable "cluster_oidc_provider" {
  description = "Of the Kubernetes cluster: its ARN, and its URL without https://."
  type        = object({ arn = string, url = string })
}

variable "namespace" {
  description = "Namespace of the service account that may use the secrets' key."
  type        = string
  default     = "strike"
}

variable "cloudflare_account_id" {
  description = "Account that Access belongs to."
  type        = string
}

variable "cloudflare_zone_id" {
  description = "Zone of the host."
  type        = string
}

variable "access_email_domains" {
  description = "Whose people Cloudflare Access lets in: those with an address there."
  type        = list(string)
}

variable "cloudflare_ranges" {
  description = "From where the load balancer can be reached; null: the ranges that Cloudflare publishes."
  type        = object({ ipv4 = list(string), ipv6 = list(string) })
  default     = null
}
