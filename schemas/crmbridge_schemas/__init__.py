"""The canonical records that crmbridge moves between systems."""
