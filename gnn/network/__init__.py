"""The heterogeneous network: message passing over the cross-modal graph, its losses and training."""
