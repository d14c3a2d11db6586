"""Where and how a job runs and complains, never what it computes."""
