"""What a person is shown and confirms, bound by its digest."""
