"""HTTP to the backend: connections, requests, event streams, retries and error mapping."""
