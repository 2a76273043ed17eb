"""The back ends that volumes are kept on."""
