"""Accounts and settings."""

from __future__ import annotations

from hub.routing import StaffRoute
from hub.staff import account_pages, settings_pages

ROUTES: tuple[StaffRoute, ...] = (*account_pages.ROUTES, *settings_pages.ROUTES)
