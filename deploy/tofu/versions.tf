terraform {
  required_version = ">= 1.10"
  required_providers {
    aws        = { source = "hashicorp/aws", version = "~> 6.0" }
    cloudflare = { source = "cloudflare/cloudflare", version = "~> 5.8" }
    http       = { source = "hashicorp/http", version = "~> 3.5" }
    random     = { source = "hashicorp/random", version = "~> 3.7" }
  }
}
