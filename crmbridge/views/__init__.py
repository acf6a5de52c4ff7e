"""What people look at: golden records found by what they type, shown whole and explained. Reads only."""
