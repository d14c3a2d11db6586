"""What adapters share: reading and checking a user's files."""
