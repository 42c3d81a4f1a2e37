"""What computes a network: OpenVINO, ONNX Runtime, PyTorch; what is painted with it is for others to say."""
