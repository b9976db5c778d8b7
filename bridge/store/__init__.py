"""What the bridge remembers, in SQL: SQLite for one machine, PostgreSQL for several."""
