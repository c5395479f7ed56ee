"""Pictures, sentences and identities: what is learned from and searched in."""
