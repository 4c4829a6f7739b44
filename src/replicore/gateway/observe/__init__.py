"""What the gateway tells of itself: metrics, traces, the admin API."""
