"""What can be typed: one typed function a sub-command, each a call."""
