//! Executes Girih plans on any device.
