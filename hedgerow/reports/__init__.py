"""Reports: what finance reads after the month, as HTML, PDF, a workbook and JSON."""
