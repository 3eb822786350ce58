"""HTTP and Lambda handlers, built on Chalice: parse a request, call one service, render the result."""
