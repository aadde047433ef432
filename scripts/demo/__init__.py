"""The demo day: one market day, end to end, on a SimBench grid, over the real protocols."""
