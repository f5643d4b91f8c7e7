//! The names of cryfttee 0.4, which every answer carries beside the contract's.
