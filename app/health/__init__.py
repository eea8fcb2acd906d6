"""Tell whether the service is alive and ready, and which server carries it."""
