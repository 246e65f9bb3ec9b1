"""Status lists: how a hold or a cancel reaches who verifies offline."""
