//! The deployment's settings: read once for each instance, every error naming the variable.

use alloy_primitives::Address;
use std::cell::OnceCell;
use std::rc::Rc;
use streamchain_chain::tx::Signer;
use streamchain_protocol::keys::MasterSecret;
use streamchain_protocol::policies::Policies;
use streamchain_protocol::turn_credentials::TurnSecret;
use worker::Env;

/// Why the deployment can't serve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct ConfigError {
    /// The variable or secret.
    pub name: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// Where Cloudflare's TURN service answers. Another base is for tests.
const TURN_SERVICE_BASE: &str = "https://rtc.live.cloudflare.com";

/// How a TURN provider's API is asked.
#[derive(Clone)]
pub struct TurnServiceConfig {
    /// Of `generate-ice-servers`, the key's id in it.
    pub url: String,
    /// The key's API token.
    pub token: String,
}

/// What the edge needs to know. (The chain's own settings are read by the chain's objects.)
#[derive(Clone)]
pub struct Config {
    /// From it come all keys.
    pub master: MasterSecret,
    /// The one before, while it is being changed: what was signed with it still counts.
    previous: Option<MasterSecret>,
    /// Where people may sign in to; the request's own host when there is none.
    pub siwe_domains: Vec<String>,
    /// The anchoring account's address: it owns the streams that are called by name.
    pub operator: Address,
    /// Accounts that may do everything, beside that one.
    operators: Vec<Address>,
    /// EIP-155.
    pub chain_id: u64,
    /// The StreamChain contract; `None` before it is deployed.
    pub contract: Option<Address>,
    /// The block it was deployed in, or an earlier one.
    pub contract_block: u64,
    /// A node that pages may ask: for a wallet to be told of the chain, and for the local chain's accounts.
    pub public_rpc: Option<String>,
    /// Whether the first session on a name makes the stream.
    pub auto_create: bool,
    /// How much clients may ask for.
    pub policies: Policies,
    /// `stun:` and `turn:` URLs that clients are told of, beside the relay's own TURN server.
    pub ice_servers: Vec<String>,
    /// A TURN provider that issues credentials by an API.
    pub turn_service: Option<TurnServiceConfig>,
    /// What their TURN servers share with us (coturn: `static-auth-secret`), for time-limited credentials.
    pub turn_secret: Option<TurnSecret>,
}

thread_local! {
    /// An instance's environment never changes, and deriving an address takes a millisecond.
    static CONFIG: OnceCell<Rc<Config>> = const { OnceCell::new() };
}

impl Config {
    /// The settings in `env`.
    pub fn of(env: &Env) -> Result<Rc<Self>, ConfigError> {
        if let Some(config) = CONFIG.with(|cell| cell.get().cloned()) {
            return Ok(config);
        }
        let config = Rc::new(Self::parse(|name| {
            env.var(name).ok().map(|value| value.to_string())
        })?);
        Ok(CONFIG.with(|cell| cell.get_or_init(|| config).clone()))
    }

    /// The master secrets that count, the one that signs first.
    pub fn masters(&self) -> impl Iterator<Item = &MasterSecret> {
        std::iter::once(&self.master).chain(&self.previous)
    }

    /// Whether an account may do everything.
    pub fn is_operator(&self, account: Address) -> bool {
        account == self.operator || self.operators.contains(&account)
    }

    /// Secrets and variables are read alike: both are strings of the environment.
    fn parse(read: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name: &str| {
            read(name)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let wrong = |name: &'static str, reason: &str| ConfigError {
            name,
            reason: reason.to_owned(),
        };
        let need = |name: &'static str, hint: &str| optional(name).ok_or_else(|| wrong(name, hint));
        let master = need("MASTER_SECRET", "not set: expected 64 hexadecimal digits")?;
        let master = MasterSecret::from_hex(&master)
            .map_err(|_| wrong("MASTER_SECRET", "expected 64 hexadecimal digits (32 bytes)"))?;
        let previous = optional("MASTER_SECRET_PREVIOUS").map(|text| MasterSecret::from_hex(&text));
        let previous = previous.transpose().map_err(|_| {
            wrong(
                "MASTER_SECRET_PREVIOUS",
                "expected 64 hexadecimal digits (32 bytes)",
            )
        })?;
        let key = need(
            "ANCHORER_KEY",
            "not set: expected a private key, 64 hexadecimal digits",
        )?;
        let signer = Signer::from_hex(&key).map_err(|error| wrong("ANCHORER_KEY", &error.to_string()))?;
        let chain_id = need("CHAIN_ID", "not set: expected the chain's number (EIP-155)")?;
        let chain_id = chain_id
            .parse()
            .map_err(|_| wrong("CHAIN_ID", "expected a decimal number"))?;
        let contract = match optional("CONTRACT_ADDRESS") {
            None => None,
            Some(text) => {
                let address = text.parse();
                Some(
                    address
                        .map_err(|_| wrong("CONTRACT_ADDRESS", "expected 0x and 40 hexadecimal digits"))?,
                )
            }
        };
        let operators = optional("OPERATORS").unwrap_or_default();
        let operators = list(&operators).map(str::parse).collect::<Result<_, _>>();
        let operators = operators.map_err(|_| {
            wrong(
                "OPERATORS",
                "expected addresses, 0x and 40 digits, with commas between",
            )
        })?;
        let contract_block = match optional("CONTRACT_BLOCK") {
            None => 0,
            Some(text) => text
                .parse()
                .map_err(|_| wrong("CONTRACT_BLOCK", "expected a decimal number"))?,
        };
        let public_rpc = optional("PUBLIC_RPC_URL");
        if !public_rpc
            .iter()
            .all(|url| url.starts_with("http://") || url.starts_with("https://"))
        {
            return Err(wrong("PUBLIC_RPC_URL", "expected an http:// or https:// URL"));
        }
        let auto_create = match optional("AUTO_CREATE_STREAMS").as_deref() {
            None | Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(wrong("AUTO_CREATE_STREAMS", "expected true or false")),
        };
        let policies = Policies::parse(&optional("RATE_LIMITS").unwrap_or_default())
            .map_err(|reason| wrong("RATE_LIMITS", &reason))?;
        let ice_servers = optional("ICE_SERVERS").unwrap_or_default();
        let ice_servers: Vec<_> = list(&ice_servers).collect();
        let is_ice =
            |url: &&str| url.starts_with("stun:") || url.starts_with("turn:") || url.starts_with("turns:");
        if !ice_servers.iter().all(is_ice) {
            return Err(wrong(
                "ICE_SERVERS",
                "expected a list of stun:, turn: or turns: URLs with commas between",
            ));
        }
        let ice_servers = ice_servers.into_iter().map(str::to_owned).collect();
        let turn_service = match (
            optional("CLOUDFLARE_TURN_KEY_ID"),
            optional("CLOUDFLARE_TURN_TOKEN"),
        ) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(wrong(
                    "CLOUDFLARE_TURN_TOKEN",
                    "not set: expected the key's API token",
                ));
            }
            (Some(id), Some(token)) => {
                if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                    return Err(wrong("CLOUDFLARE_TURN_KEY_ID", "expected letters and digits"));
                }
                let base = optional("CLOUDFLARE_TURN_API").unwrap_or_else(|| TURN_SERVICE_BASE.to_owned());
                let url = format!("{base}/v1/turn/keys/{id}/credentials/generate-ice-servers");
                Some(TurnServiceConfig { url, token })
            }
        };
        Ok(Self {
            master,
            previous,
            siwe_domains: list(&optional("SIWE_DOMAINS").unwrap_or_default())
                .map(str::to_owned)
                .collect(),
            operator: signer.address(),
            operators,
            chain_id,
            contract,
            contract_block,
            public_rpc,
            auto_create,
            policies,
            ice_servers,
            turn_service,
            turn_secret: optional("TURN_SECRET").map(TurnSecret::new),
        })
    }
}

/// What stands between the commas of a setting.
fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// A local development account's well-known key, so that its address is known too.
    const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    fn parse(changes: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let secret = "11".repeat(32);
        let mut values: HashMap<&str, &str> = HashMap::from([
            ("MASTER_SECRET", secret.as_str()),
            ("ANCHORER_KEY", KEY),
            ("CHAIN_ID", "31337"),
        ]);
        values.extend(changes.iter().copied());
        Config::parse(|name| values.get(name).map(|value| (*value).to_owned()))
    }

    #[test]
    fn the_least_settings_do_and_name_the_operator() {
        let config = parse(&[]).ok().unwrap();
        assert_eq!(
            config.operator.to_string(),
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
        );
        assert_eq!(
            (config.chain_id, config.contract, config.auto_create),
            (31_337, None, true)
        );
    }

    #[test]
    fn the_signing_account_and_those_named_are_operators() {
        let other = Address::repeat_byte(5);
        let config = parse(&[("OPERATORS", &format!("{other}, "))]).ok().unwrap();
        assert!(config.is_operator(config.operator) && config.is_operator(other));
        assert!(!config.is_operator(Address::ZERO));
    }

    #[test]
    fn a_turn_services_url_holds_its_keys_id() {
        let values = [("CLOUDFLARE_TURN_KEY_ID", "k1"), ("CLOUDFLARE_TURN_TOKEN", "t")];
        let service = parse(&values)
            .ok()
            .and_then(|config| config.turn_service)
            .unwrap();
        let url = "https://rtc.live.cloudflare.com/v1/turn/keys/k1/credentials/generate-ice-servers";
        assert_eq!((service.url.as_str(), service.token.as_str()), (url, "t"));
    }

    #[test]
    fn every_error_names_its_variable() {
        for (name, value) in [
            ("MASTER_SECRET", "abc"),
            ("ANCHORER_KEY", "abc"),
            ("CHAIN_ID", "main"),
            ("CONTRACT_ADDRESS", "0x12"),
            ("CONTRACT_BLOCK", "first"),
            ("PUBLIC_RPC_URL", "127.0.0.1:8545"),
            ("AUTO_CREATE_STREAMS", "perhaps"),
            ("ICE_SERVERS", "http://x"),
            ("RATE_LIMITS", "fast"),
            ("OPERATORS", "0x12"),
            ("CLOUDFLARE_TURN_KEY_ID", "a/b"),
            ("MASTER_SECRET_PREVIOUS", "0x12"),
        ] {
            let token = ("CLOUDFLARE_TURN_TOKEN", "t");
            assert_eq!(
                parse(&[(name, value), token]).err().map(|error| error.name),
                Some(name)
            );
        }
        let key_alone = parse(&[("CLOUDFLARE_TURN_KEY_ID", "k1")]);
        assert_eq!(
            key_alone.err().map(|error| error.name),
            Some("CLOUDFLARE_TURN_TOKEN")
        );
        assert_eq!(
            parse(&[("MASTER_SECRET", "")]).err().map(|error| error.name),
            Some("MASTER_SECRET")
        );
    }
}
