"""What the commands over the admin API share: their options, and how they show what was answered."""
