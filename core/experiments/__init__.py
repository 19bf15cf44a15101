"""What the lessons measure: pure functions of scalars and tensors that return frozen dataclasses of tensors."""
