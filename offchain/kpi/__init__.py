"""Key performance indicators of the Italian demo (D3.3, Annex), from a day's data. Pure."""
