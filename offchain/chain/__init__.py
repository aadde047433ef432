"""The market's contracts through web3.py: the manifest of a deployment, calls, transactions and events."""
