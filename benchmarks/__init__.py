"""What a request costs, measured beside what it could cost at best and what people do today."""
