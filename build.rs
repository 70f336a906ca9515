//! Links the function at a fixed address.
//!
//! Otherwise the loader writes 16,000 addresses into memory at each cold start. Lambda starts each function in a virtual
//! machine of its own, and the function's own code is safe Rust. The command line stays position-independent.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    // Other platforms, such as macOS on Apple's processors, require position-independent programs.
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bin=cloudfront-invalidator=-no-pie");
    }
}
