"""What several test files share, each under its own name."""
