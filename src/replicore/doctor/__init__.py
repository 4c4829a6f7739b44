"""What would keep a deployment from working on this machine, looked at before and after."""
