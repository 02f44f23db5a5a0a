"""What can run and what is used: conditions that never change, code behind a jump, names that nothing mentions."""
