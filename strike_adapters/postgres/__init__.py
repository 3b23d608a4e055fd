"""PostgreSQL: the event store, the tables people read, the directory of companies, the workers."""
