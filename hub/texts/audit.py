"""Every string of the pages: the audit log."""
