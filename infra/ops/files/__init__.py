"""Readers of directory files: CSV and XLSX."""
