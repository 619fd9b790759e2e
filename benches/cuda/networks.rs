//! Inference on the GPU by ONNX Runtime, and the random walk, which stays on the processor.
