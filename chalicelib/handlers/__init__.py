"""What Chalice touches: read the request, call one story, render its answer."""
