"""The connectors that come with crmbridge. They use the same interface as a vendor's."""
