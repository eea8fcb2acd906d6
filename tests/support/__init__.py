"""Help the tests: a stand-in for TheEye, real processes, clients, hosts."""
