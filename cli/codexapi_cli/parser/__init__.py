"""The command line itself: options, help, usage errors and completion."""
