//! The certificates of the TLS stand-in.
//!
//! The chain is root, intermediate, leaf. All keys are ECDSA P-256, because the server's signature is AWS's work in
//! reality and costs far more with RSA-2048. The function verifies the chain and the signature as in production.

use std::sync::Arc;

use anyhow::{Context, Result};
use pem::Pem;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};

/// The subjects of the roots that AWS's endpoints use: <https://www.amazontrust.com/repository/>.
const AMAZON_ROOTS: [&str; 2] = ["Amazon Root CA", "Starfield Services Root Certificate"];
const AMAZON_ROOT_COUNT: usize = 5;

/// The configuration of the server, and the trust store of its clients.
pub struct Trust {
    /// TLS 1.3 and 1.2, HTTP/1.1 only, as AWS's endpoints.
    pub server: Arc<ServerConfig>,
    /// Amazon's five roots and the stand-in's, as PEM. In production a function has the former.
    pub roots_pem: String,
}

/// Makes the certificates.
///
/// # Errors
///
/// Returns an error if ring or rustls rejects them, or if Amazon's roots are not found among Mozilla's.
pub fn make() -> Result<Trust> {
    let root = CertifiedIssuer::self_signed(authority("Stand-in root"), KeyPair::generate()?)?;
    let intermediate = CertifiedIssuer::signed_by(
        authority("Stand-in intermediate"),
        KeyPair::generate()?,
        &root,
    )?;
    let leaf_key = KeyPair::generate()?;
    let leaf = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?
        .signed_by(&leaf_key, &intermediate)?;

    let chain = vec![leaf.der().clone(), intermediate.der().clone()];
    let key = PrivateKeyDer::try_from(leaf_key.serialize_der())
        .map_err(|error| anyhow::anyhow!("the key of the leaf cannot be used: {error}"))?;
    let mut server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .context("the certificates cannot be used")?;
    server.alpn_protocols = vec![b"http/1.1".to_vec()];

    let encode = |der: &CertificateDer<'_>| pem::encode(&Pem::new("CERTIFICATE", der.to_vec()));
    let mut roots: Vec<String> = amazon_roots().map(encode).collect();
    anyhow::ensure!(
        roots.len() == AMAZON_ROOT_COUNT,
        "{} of Amazon's {AMAZON_ROOT_COUNT} roots are in webpki-root-certs: correct AMAZON_ROOTS",
        roots.len()
    );
    roots.push(root.pem());
    Ok(Trust {
        server: Arc::new(server),
        roots_pem: roots.concat(),
    })
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn amazon_roots() -> impl Iterator<Item = &'static CertificateDer<'static>> {
    let is_amazon = |der: &&CertificateDer<'_>| {
        AMAZON_ROOTS.iter().any(|subject| {
            der.windows(subject.len())
                .any(|part| part == subject.as_bytes())
        })
    };
    webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .filter(is_amazon)
}
