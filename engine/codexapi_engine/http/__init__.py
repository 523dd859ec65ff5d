"""HTTP to the backend: connections, requests, event streams, and what failures mean."""
