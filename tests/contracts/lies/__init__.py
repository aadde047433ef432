"""A lie of each kind that a fraud proof shows, on the small book, and the call that proves it."""
