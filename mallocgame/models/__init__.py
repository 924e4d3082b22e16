"""The two cost models: plans and final texts replayed under E and M, and what E knows of cycles."""
