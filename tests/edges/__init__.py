"""What people and machines see first: start-up, help, the demo, the sandbox command."""
