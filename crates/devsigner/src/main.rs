//! `cryfttee-devsigner`.

fn main() {}
