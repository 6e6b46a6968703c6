//! Lowering: Graph IR to Tile IR, Tile IR to SIMT IR.
