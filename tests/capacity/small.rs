#[path = "../standin/mod.rs"]
mod standin;
mod model;
