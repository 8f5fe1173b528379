"""Image and text models: .onnx files, their cards and sessions."""
