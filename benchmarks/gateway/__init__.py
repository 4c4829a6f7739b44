"""The routers of the field side by side with ours, over the same mock engines."""
