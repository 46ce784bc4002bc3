//! Delivery of messages by HTTP. In: an address and a message. Out: it has arrived, or why not. Knows nothing of findings.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};

use crate::state::Message;

/// How often a message is tried in a night, and how long the first wait is; each next one is twice as long.
const TRIES: u32 = 4;
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// For one try, from the first byte to the last.
const TIME_OUT: Duration = Duration::from_secs(15);

/// Why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// In words that name the host and not the address, which is a secret.
    pub cause: String,
    /// The receiver does not like this message, and will not another time; others may pass.
    pub refused: bool,
}

/// Posts messages to one address.
pub struct Webhook {
    url: String,
    agent: ureq::Agent,
}

impl fmt::Debug for Webhook {
    /// The host alone: the address is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Webhook").field(&host(&self.url)).finish()
    }
}

impl Webhook {
    /// An address that begins with `http://` or `https://`. For `https` the roots of the web are trusted.
    ///
    /// # Errors
    /// It does not.
    pub fn new(url: &str) -> Result<Self, String> {
        let host = host(url);
        if !(url.starts_with("http://") || url.starts_with("https://")) || host.is_empty() {
            return Err("a webhook is an address that begins with https:// or http://".to_owned());
        }
        Ok(Self { url: url.to_owned(), agent: agent(RootCerts::WebPki) })
    }

    /// The same, trusting the certificates of a PEM file instead. (Who posts without encryption has no use for the file: it
    /// is not read.)
    ///
    /// # Errors
    /// The file has no certificate.
    pub fn trusting(self, roots: &Path) -> Result<Self, String> {
        if !self.url.starts_with("https://") {
            return Ok(self);
        }
        Ok(Self { agent: agent(certificates(roots)?), ..self })
    }

    /// Posts one message; tries again, after ever longer waits, what may pass by itself.
    ///
    /// # Errors
    /// It has not arrived.
    pub fn post(&self, message: &Message) -> Result<(), Undelivered> {
        let mut wait = FIRST_WAIT;
        let mut tries = 1;
        let body = message.body.to_string();
        loop {
            let sent = self.agent.post(&self.url).content_type("application/json").send(body.as_str());
            let (cause, passes, refused) = match sent {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => {
                    let status = answer.status();
                    let passes = status.is_server_error() || [408, 425, 429].contains(&status.as_u16());
                    // Not the message is wrong where the address, the leave to post to it or the moment is.
                    let of_receiver = [401, 403, 404, 407, 408, 410, 425, 429].contains(&status.as_u16());
                    (format!("it answers {status}"), passes, status.is_client_error() && !of_receiver)
                }
                Err(error) => (error.to_string().replace(&self.url, "the address"), true, false),
            };
            if !passes || tries == TRIES {
                let tried = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
                let cause = format!("{}: {cause} (tried {tried})", host(&self.url));
                return Err(Undelivered { cause, refused });
            }
            thread::sleep(wait);
            wait *= 2;
            tries += 1;
        }
    }
}

fn agent(roots: RootCerts) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIME_OUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("slowleak/", env!("CARGO_PKG_VERSION")))
        .tls_config(TlsConfig::builder().root_certs(roots).build());
    config.build().into()
}

/// The certificates of a PEM file.
fn certificates(path: &Path) -> Result<RootCerts, String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let mut certificates = Vec::new();
    for item in parse_pem(&text) {
        if let PemItem::Certificate(certificate) = item.map_err(|error| error.to_string())? {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err("it holds no certificate in PEM".to_owned());
    }
    Ok(RootCerts::from(certificates))
}

/// The host of an address.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit('@').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_web_are_taken_and_secrets_are_not_told() {
        for url in ["", "hooks.example", "ftp://a/b", "https://", "https:///x", "file:///etc/passwd"] {
            assert!(Webhook::new(url).is_err(), "{url}");
        }
        assert_eq!(host("https://me:pw@hooks.example:8443/T0/B0?x#y"), "hooks.example:8443");
        assert!(Webhook::new("https://hooks.example/T0").is_ok());
    }
}
