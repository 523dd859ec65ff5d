"""Images as bytes and as files: validation, conversion, download, file names and URLs."""
