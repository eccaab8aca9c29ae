"""Tables and plots, all of them functions of records; nothing here reads data or runs a method."""
