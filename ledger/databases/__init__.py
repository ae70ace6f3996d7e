"""Databases that keep the books: SQLite and PostgreSQL, behind one `Sql`; and their versions."""
