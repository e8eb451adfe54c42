"""Rating very many photos: jobs that go on where they stopped, what they read, the tables that they write."""
