// Comes soon.
