"""Answer a page for people: with `?response` the browser shows it."""

import json

page = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Servers</title>
<style>td { padding: 0 1em }</style>
<h1>Servers – all well ✓</h1>
<table><tr><td>web-1<td>up<tr><td>web-2<td>up</table>
</html>
"""
headers = {"Content-Type": "text/html; charset=utf-8", "Content-Language": "en"}
print(json.dumps({"state": "success", "data": {"statusCode": 200, "headers": headers, "body": page}}))
