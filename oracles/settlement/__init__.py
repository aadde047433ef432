"""The settlement oracle: what was delivered against what was accepted, and what it earns and costs."""
