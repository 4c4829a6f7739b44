"""The charts of a page: what is drawn of a run, as data for plotly.js."""
