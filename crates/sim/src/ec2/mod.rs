//! EC2 in process: the network-interface actions.
