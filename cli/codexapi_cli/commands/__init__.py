"""One module for each command. It is loaded when its command is called."""
