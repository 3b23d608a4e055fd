# What the overlays of deploy/kubernetes ask for.

output "oidc_signer" {
  description = "STRIKE_OIDC_SIGNER"
  value       = aws_lb.strike.arn
}

output "secrets_kms_key" {
  description = "STRIKE_SECRETS_KMS_KEY"
  value       = aws_kms_key.secrets.arn
}

output "cloudflare_audience" {
  description = "STRIKE_CLOUDFLARE_AUDIENCE"
  value       = cloudflare_zero_trust_access_application.strike.aud
}

output "target_group_arn" {
  description = "Of the TargetGroupBinding"
  value       = aws_lb_target_group.api.arn
}

output "role_arn" {
  description = "Of the service account"
  value       = aws_iam_role.strike.arn
}
