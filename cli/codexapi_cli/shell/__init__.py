"""Classifies the shell commands that a model proposes."""
