"""The pure numerical core of the grid oracle: functions from a grid model and arrays to decisions."""
