"""The models beyond the posts."""
