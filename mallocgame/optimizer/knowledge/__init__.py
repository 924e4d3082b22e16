"""What is known while programs are proposed and compiled: schedules, what was tried, how the answer is chosen."""
