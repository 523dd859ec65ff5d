"""The process that serves: uvicorn with our connections, signals and shutdown."""
