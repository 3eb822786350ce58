"""What surrounds the service: its template, its local twin, its operators' commands."""
