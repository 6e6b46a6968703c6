//! Girih's Tile IR: block values of one program instance.
