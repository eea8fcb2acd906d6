"""Measure the cost of a request, and compare it with the lowest possible cost (floor) and with polling (today)."""
