"""What sees: .onnx files, their cards, their sessions."""
