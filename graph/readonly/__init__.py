"""What makes exploration read-only, on both stores."""
