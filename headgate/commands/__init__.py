"""The commands of the command line. Each parses its options and hands over; none decides anything."""
