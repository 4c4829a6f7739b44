"""A plan as one HTML page: charts of every layout, and the tables behind them."""
