"""Every call of a plugin: what goes in and comes out is checked, in this process or in another."""
