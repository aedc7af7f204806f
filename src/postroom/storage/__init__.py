"""All SQL, for both databases."""
