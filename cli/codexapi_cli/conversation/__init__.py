"""A conversation with a model: its turns, its history, and the interactive chat."""
