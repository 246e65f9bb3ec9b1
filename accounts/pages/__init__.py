"""Pages for browsers: validate, one service call, show."""

from accounts.pages.staff import StaffSite

__all__ = ["StaffSite"]
