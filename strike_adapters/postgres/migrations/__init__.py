"""The plain tables that are not derived from events: companies, people, links, lists, accounts."""
