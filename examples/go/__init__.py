"""Multiplayer Go: the rules, a game as an actor, its store, and players over TCP and in browsers."""
