//! The certificates of the TLS stand-in.
//!
//! The chain is root, intermediate, leaf. Root and intermediate sign with RSA 2048, as the authorities of AWS's
//! endpoints do: Amazon Root CA 1 (<https://www.amazontrust.com/repository/>) and the Amazon RSA 2048 intermediates.
//! The leaf has an ECDSA P-256 key, because its signature in each handshake is AWS's work in reality, and takes far
//! longer with RSA. So the function verifies two signatures of RSA and one of ECDSA in a handshake; with AWS's
//! endpoints, three of RSA.
//!
//! The clients trust one root, which they read from a file. With AWS's endpoints, the function parses five embedded
//! roots in DER, which costs less than reading one in PEM.

use std::sync::Arc;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
};
use rsa::RsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::rand_core::OsRng;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};

const AUTHORITY_KEY_BITS: usize = 2048;

/// The configuration of the server, and the trust store of its clients.
pub struct Trust {
    /// TLS 1.3 and 1.2, HTTP/1.1 only, as AWS's endpoints. The client's order of the cipher suites decides.
    pub server: Arc<ServerConfig>,
    /// The stand-in's root as PEM.
    pub root_pem: String,
}

/// Makes the keys and the certificates, which takes one to five seconds: RSA keys need large primes.
///
/// # Errors
///
/// Returns an error if ring or rustls rejects them.
pub fn make() -> Result<Trust> {
    let root = CertifiedIssuer::self_signed(authority("Stand-in root"), authority_key()?)?;
    let intermediate =
        CertifiedIssuer::signed_by(authority("Stand-in intermediate"), authority_key()?, &root)?;
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
    server.ignore_client_order = false;
    Ok(Trust {
        server: Arc::new(server),
        root_pem: root.pem(),
    })
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Makes an RSA key, which ring cannot.
fn authority_key() -> Result<KeyPair> {
    let key = RsaPrivateKey::new(&mut OsRng, AUTHORITY_KEY_BITS)?.to_pkcs8_der()?;
    let key = PrivatePkcs8KeyDer::from(key.as_bytes());
    KeyPair::try_from(&key).context("ring rejects the RSA key")
}

#[cfg(test)]
mod tests {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
    use tokio_rustls::rustls::{
        CipherSuite, ClientConfig, RootCertStore, SupportedProtocolVersion,
    };
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    /// Returns the cipher suite of a handshake in which the client offers these, in this order.
    async fn negotiated(
        trust: &Trust,
        version: &'static SupportedProtocolVersion,
        offered: &[CipherSuite],
    ) -> CipherSuite {
        let mut provider = default_provider();
        provider
            .cipher_suites
            .retain(|suite| offered.contains(&suite.suite()));
        provider
            .cipher_suites
            .sort_by_key(|suite| offered.iter().position(|offered| *offered == suite.suite()));
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(trust.root_pem.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let (near, far) = tokio::io::duplex(16_384);
        let connector = TlsConnector::from(Arc::new(client));
        let acceptor = TlsAcceptor::from(trust.server.clone());
        let (client, server) =
            tokio::try_join!(connector.connect(name, near), acceptor.accept(far)).unwrap();
        drop(server);
        let (_, connection) = client.get_ref();
        connection.negotiated_cipher_suite().unwrap().suite()
    }

    #[tokio::test]
    async fn a_client_trusts_the_server_by_the_root_and_chooses_the_cipher_suite() {
        let trust = make().unwrap();
        let suites_13 = [
            CipherSuite::TLS13_AES_128_GCM_SHA256,
            CipherSuite::TLS13_AES_256_GCM_SHA384,
            CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
        ];
        let suites_12 = [
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
            CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        ];
        for (version, mut offered) in [(&TLS13, suites_13), (&TLS12, suites_12)] {
            for _ in 0..offered.len() {
                offered.rotate_left(1);
                let suite = negotiated(&trust, version, &offered).await;
                assert_eq!(suite, offered[0], "{version:?}");
            }
        }
    }
}
