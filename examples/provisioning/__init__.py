"""Enterprise provisioning: an agent that acts in production, killed in the middle of it."""
