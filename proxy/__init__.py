"""The HTTP edge: requests of applications in, requests to providers out.

`chat` tells the whole story of one request in one straight function. It knows no HTTP library and
no database: a transport (`server`) hands it an `exchange`, providers are reached through
`upstream`, money goes through the ledger's book.
"""
