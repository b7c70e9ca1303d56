"""What several test files share: helpers, actors, and looks inside the runtime."""
