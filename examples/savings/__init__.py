"""Gateway, trigger and executor of a continuous-savings service, with a small bank of their own."""
