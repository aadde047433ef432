"""What every platform's REST API shares: who may call it, and how it says no."""
