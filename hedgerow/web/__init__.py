"""The dashboard: pages for platform teams, operators, finance and approvers."""
