"""TheEye as this service sees it: its two servers, its sessions, and the HTTP calls to them."""
