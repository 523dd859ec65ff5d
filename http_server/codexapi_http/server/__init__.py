"""The server process: uvicorn with our connections, signals and shutdown."""
