"""The command line's parser: options, help, usage errors and completion."""
