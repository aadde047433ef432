"""The grid oracle: forecasts violations, sizes the DSO's request and assesses what the market accepted."""
