"""Call TheEye: its two servers, its sessions, and HTTP underneath."""
