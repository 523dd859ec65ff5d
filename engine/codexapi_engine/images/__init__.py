"""Images as bytes and as files: checks, conversion, download, names and addresses."""
