"""Shell commands that a model proposes: what they may do."""
