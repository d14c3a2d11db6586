"""Images become the feature cache."""
