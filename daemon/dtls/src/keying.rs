//! From exported material to the keys of both directions (RFC 5764 §4.2).

use patchcord_media::srtp::Keys;
use zeroize::Zeroizing;

use crate::association::Role;
use crate::profile::Profile;

/// The label of the exporter.
#[cfg_attr(
    not(feature = "openssl"),
    expect(dead_code, reason = "dimpl knows the label itself")
)]
pub(crate) const LABEL: &str = "EXTRACTOR-dtls_srtp";

/// What the exporter gave. Wiped when dropped.
pub(crate) type Material = Zeroizing<Vec<u8>>;

/// The keys of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionKeys {
    /// For what the peer sends.
    pub receive: Keys,
    /// For what we send.
    pub send: Keys,
}

impl SessionKeys {
    /// Splits the material: client's key, server's key, client's salt, server's salt. `None` if it
    /// has not the profile's length.
    pub(crate) fn split(role: Role, profile: Profile, material: &[u8]) -> Option<Self> {
        let suite = profile.suite();
        if material.len() != profile.material_len() {
            return None;
        }
        let (keys, salts) = material.split_at(2 * suite.key_len());
        let (client_key, server_key) = keys.split_at(suite.key_len());
        let (client_salt, server_salt) = salts.split_at(suite.salt_len());
        let client = Keys::new(suite, client_key, client_salt).ok()?;
        let server = Keys::new(suite, server_key, server_salt).ok()?;
        Some(match role {
            Role::Client => Self {
                receive: server,
                send: client,
            },
            Role::Server => Self {
                receive: client,
                send: server,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_sends_with_what_the_other_receives_with() {
        for profile in Profile::ALL {
            let material: Vec<u8> = (0..profile.material_len() as u8).collect();
            let client = SessionKeys::split(Role::Client, profile, &material).expect("its length");
            let server = SessionKeys::split(Role::Server, profile, &material).expect("its length");
            assert_eq!(client.send, server.receive);
            assert_eq!(client.receive, server.send);
            let key_len = profile.suite().key_len();
            assert_eq!(client.send.master_key(), &material[..key_len]);
            assert_eq!(client.send.master_salt()[0] as usize, 2 * key_len);
            assert_eq!(usize::from(server.send.master_key()[0]), key_len);
        }
    }

    #[test]
    fn material_of_another_length_gives_no_keys() {
        let material = [0; 61];
        assert!(SessionKeys::split(Role::Client, Profile::Aes128Sha1_80, &material).is_none());
    }
}
