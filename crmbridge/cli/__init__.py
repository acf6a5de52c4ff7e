"""The command `crmbridge`: each module is one family of commands, which parses, calls the bridge, prints."""
