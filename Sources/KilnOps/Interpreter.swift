// Runs a graph as its ops are declared, slowly and exactly: what kernels are held against.

import KilnIR

/// The reference execution of graphs.
public enum Interpreter {}
