//! The deployment's settings: read once for each instance, every error naming the variable.

use super::batchers::Batchers;
use super::pace;
use crate::config::archive::ArchiveConfig;
use crate::config::env::{self, ConfigError, Settings};
use alloy_primitives::Address;
use std::cell::OnceCell;
use std::rc::Rc;
use streamchain_chain::anchorer::GasOwners;
use streamchain_chain::ethereum::Signer;
use streamchain_edge_core::rate_policy::Policies;
use streamchain_edge_core::stream_log::Pace;
use streamchain_protocol::auth::{MasterSecret, RelayKey};
use streamchain_protocol::ids::{RelayId, RelayKeyId, StreamId};
use streamchain_protocol::proof::rounds_stream;
use streamchain_protocol::stream_settings::{Anchoring, StreamSettings};
use streamchain_protocol::webrtc::TurnSecret;
use worker::{Env, console_warn};

/// What these settings are, for errors.
const MASTER_SECRET: &str = "64 hexadecimal digits (32 bytes)";
const ICE_SERVERS: &str = "a list of stun:, turn: or turns: URLs with commas between";

/// Where Cloudflare's TURN service answers. Another base is for tests.
const TURN_SERVICE_BASE: &str = "https://rtc.live.cloudflare.com";

/// The header in which Cloudflare, and nobody behind it, writes the client's address.
const CLIENT_HEADER: &str = "cf-connecting-ip";

/// Shortest token for scrapes, characters: 32 hexadecimal digits can't be guessed.
const MIN_METRICS_TOKEN_CHARS: usize = 32;

/// The chains of local development (anvil and Hardhat, geth's developer mode): their gas costs nothing.
const DEVELOPMENT_CHAINS: [u64; 2] = [31_337, 1_337];

/// Whether a chain is one of local development.
pub(crate) fn is_development_chain(chain_id: u64) -> bool {
    DEVELOPMENT_CHAINS.contains(&chain_id)
}

/// How a TURN provider's API is asked.
#[derive(Clone)]
pub(crate) struct TurnServiceConfig {
    /// Of `generate-ice-servers`, the key's id in it.
    pub url: String,
    /// The key's API token.
    pub token: String,
}

/// What the edge needs to know. (The chain's own settings are read by the chain's objects.)
#[derive(Clone)]
pub(crate) struct Config {
    /// From it come all keys.
    pub master: MasterSecret,
    /// The one before, while it is being changed: what was signed with it still counts.
    previous: Option<MasterSecret>,
    /// Where people may sign in to; on development chains the request's own host when there is none.
    pub siwe_domains: Vec<String>,
    /// The header that has the client's address, in small letters.
    pub client_header: String,
    /// The anchoring account's address: it owns the streams that are called by name.
    pub operator: Address,
    /// Accounts that may do everything.
    operators: Vec<Address>,
    /// Those of them that are contract wallets.
    contract_operators: Vec<Address>,
    /// EIP-155.
    pub chain_id: u64,
    /// The StreamChain contract; `None` before it is deployed.
    pub contract: Option<Address>,
    /// The block it was deployed in, or an earlier one.
    pub contract_block: u64,
    /// Which Batcher object has which buckets of a round.
    pub batchers: Batchers,
    /// The account that the stream of rounds belongs to.
    pub rounds_owner: Address,
    /// The stream of rounds.
    pub rounds: StreamId,
    /// How a new stream is anchored, unless its maker chooses.
    pub new_anchor: Anchoring,
    /// The owners whose streams may spend gas on more than their anchors.
    pub gas_owners: GasOwners,
    /// A node that pages may ask, and name to a wallet.
    pub public_rpc: Option<String>,
    /// Whether the first session on a name makes the stream.
    pub auto_create: bool,
    /// How much clients may ask for.
    pub policies: Policies,
    /// `stun:` and `turn:` URLs that clients may use, beside the relay's own TURN server.
    pub ice_servers: Vec<String>,
    /// A TURN provider that issues credentials by an API.
    pub turn_service: Option<TurnServiceConfig>,
    /// When packs are made, and how much the database takes.
    pub archive: ArchiveConfig,
    /// What their TURN servers share with us (coturn: `static-auth-secret`), for time-limited credentials.
    pub turn_secret: Option<TurnSecret>,
    /// How long a stream's messages may wait for their segment and their round.
    pub pace: Pace,
    /// What whoever scrapes metrics shows instead of an operator's token.
    pub metrics_token: Option<String>,
}

thread_local! {
    /// An instance's environment never changes, and deriving an address takes a millisecond.
    static CONFIG: OnceCell<Rc<Config>> = const { OnceCell::new() };
}

impl Config {
    /// The settings in `env`.
    pub(crate) fn of(env: &Env) -> Result<Rc<Self>, ConfigError> {
        if let Some(config) = CONFIG.with(|cell| cell.get().cloned()) {
            return Ok(config);
        }
        let config = Rc::new(env::with(env, Self::parse)?);
        if let Some(fault) = config.sign_in_fault() {
            console_warn!("sign-in is refused: {fault}");
        }
        Ok(CONFIG.with(|cell| cell.get_or_init(|| config).clone()))
    }

    /// The master secrets that count, the one that signs first.
    pub(crate) fn masters(&self) -> impl Iterator<Item = &MasterSecret> {
        std::iter::once(&self.master).chain(&self.previous)
    }

    /// The key that a relay has: the one of `id` if a master secret gives that, else the newest.
    pub(crate) fn relay_key(&self, relay: &RelayId, id: Option<RelayKeyId>) -> RelayKey {
        let mut keys = self.masters().map(|master| master.relay_key(relay));
        keys.find(|key| Some(key.id()) == id)
            .unwrap_or_else(|| self.master.relay_key(relay))
    }

    /// The accounts that may do everything.
    pub(crate) fn operators(&self) -> impl Iterator<Item = Address> {
        self.operators.iter().copied()
    }

    /// Whether an account may do everything.
    pub(crate) fn is_operator(&self, account: Address) -> bool {
        self.operators.contains(&account)
    }

    /// Whether an account signs in by its own key alone: an operator's does, unless it is named as a contract wallet.
    pub(crate) fn signs_by_key(&self, account: Address) -> bool {
        self.is_operator(account) && !self.contract_operators.contains(&account)
    }

    /// Whether an account is that of the anchoring key and no more. Its key lies with the Worker to sign transactions: who
    /// comes by it must not have the operator's streams and rights too.
    pub(crate) fn is_anchorer_alone(&self, account: Address) -> bool {
        account == self.operator && !self.is_operator(account)
    }

    /// What a stream is made with for whoever asks for nothing special.
    pub(crate) fn usual_settings(&self) -> StreamSettings {
        StreamSettings::default().anchored_by(None, self.new_anchor)
    }

    /// Why nobody can sign in with a wallet; `None` when everybody can.
    pub(crate) fn sign_in_fault(&self) -> Option<&'static str> {
        let is_development = is_development_chain(self.chain_id);
        (self.siwe_domains.is_empty() && !is_development).then_some(
            "SIWE_DOMAINS: not set: expected the domains that people sign in to, with commas between (required on any \
             chain but a development chain)",
        )
    }

    /// The settings that a source holds.
    pub(crate) fn parse(settings: &Settings) -> Result<Self, ConfigError> {
        let master = master_secret("MASTER_SECRET", &settings.need("MASTER_SECRET", MASTER_SECRET)?)?;
        let previous = settings.text("MASTER_SECRET_PREVIOUS");
        let previous = previous.map(|text| master_secret("MASTER_SECRET_PREVIOUS", &text));
        let rate_limits = settings.text("RATE_LIMITS").unwrap_or_default();
        let chain_id = settings.need("CHAIN_ID", "the chain's number (EIP-155)")?;
        let chain_id = chain_id
            .parse()
            .map_err(|_| ConfigError::new("CHAIN_ID", "expected a decimal number"))?;
        let operator = signer(settings)?.address();
        let contract_operators = settings.addresses("CONTRACT_OPERATORS")?;
        let operators = [settings.addresses("OPERATORS")?, contract_operators.clone()].concat();
        let rounds_owner = settings.parsed("ROUNDS_OWNER", "0x and 40 hexadecimal digits")?;
        let rounds_owner = rounds_owner.unwrap_or(operator);
        Ok(Self {
            master,
            previous: previous.transpose()?,
            siwe_domains: settings.list("SIWE_DOMAINS"),
            client_header: client_header(settings)?,
            operator,
            gas_owners: gas_owners(settings, chain_id)?
                .with([operator])
                .with(operators.iter().copied()),
            operators,
            contract_operators,
            chain_id,
            contract: settings.parsed("CONTRACT_ADDRESS", "0x and 40 hexadecimal digits")?,
            contract_block: settings.number("CONTRACT_BLOCK", 0)?,
            batchers: Batchers::parse(settings)?,
            rounds_owner,
            rounds: rounds_stream(rounds_owner),
            new_anchor: settings
                .parsed("NEW_STREAMS_ANCHOR", "shared or own")?
                .unwrap_or(Anchoring::DEFAULT),
            public_rpc: public_rpc(settings)?,
            auto_create: settings
                .parsed("AUTO_CREATE_STREAMS", "true or false")?
                .unwrap_or(true),
            policies: Policies::parse(&rate_limits)
                .map_err(|reason| ConfigError::new("RATE_LIMITS", reason))?,
            ice_servers: settings.urls("ICE_SERVERS", &["stun:", "turn:", "turns:"], ICE_SERVERS)?,
            turn_service: turn_service(settings)?,
            archive: ArchiveConfig::parse(settings)?,
            turn_secret: settings.text("TURN_SECRET").map(TurnSecret::new),
            pace: pace::parse(settings)?,
            metrics_token: metrics_token(settings)?,
        })
    }
}

/// The account that signs what goes to the chain.
pub(crate) fn signer(settings: &Settings) -> Result<Signer, ConfigError> {
    let key = settings.need("ANCHORER_KEY", "a private key, 64 hexadecimal digits")?;
    Signer::from_hex(&key).map_err(|error| ConfigError::new("ANCHORER_KEY", error))
}

fn master_secret(name: &'static str, text: &str) -> Result<MasterSecret, ConfigError> {
    MasterSecret::from_hex(text).map_err(|_| ConfigError::new(name, format!("expected {MASTER_SECRET}")))
}

fn client_header(settings: &Settings) -> Result<String, ConfigError> {
    let name = settings.text("CLIENT_ADDRESS_HEADER");
    let name = name
        .unwrap_or_else(|| CLIENT_HEADER.to_owned())
        .to_ascii_lowercase();
    match name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    {
        true => Ok(name),
        false => Err(ConfigError::new(
            "CLIENT_ADDRESS_HEADER",
            "expected the name of a header, such as cf-connecting-ip",
        )),
    }
}

/// The owners that `GAS_OWNERS` names; unless it is set, everybody on a development chain and nobody elsewhere.
fn gas_owners(settings: &Settings, chain_id: u64) -> Result<GasOwners, ConfigError> {
    let text = settings.text("GAS_OWNERS");
    let text = text.unwrap_or_else(|| match is_development_chain(chain_id) {
        true => "*".to_owned(),
        false => String::new(),
    });
    GasOwners::parse(&text).map_err(|error| ConfigError::new("GAS_OWNERS", error))
}

fn public_rpc(settings: &Settings) -> Result<Option<String>, ConfigError> {
    let url = settings.text("PUBLIC_RPC_URL");
    match url
        .iter()
        .all(|url| url.starts_with("http://") || url.starts_with("https://"))
    {
        true => Ok(url),
        false => Err(ConfigError::new(
            "PUBLIC_RPC_URL",
            "expected an http:// or https:// URL",
        )),
    }
}

fn metrics_token(settings: &Settings) -> Result<Option<String>, ConfigError> {
    let token = settings.text("METRICS_TOKEN");
    let is_plain = |token: &String| {
        token.len() >= MIN_METRICS_TOKEN_CHARS && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match token.as_ref().is_none_or(is_plain) {
        true => Ok(token),
        false => Err(ConfigError::new(
            "METRICS_TOKEN",
            "expected 32 or more characters of ASCII without spaces",
        )),
    }
}

fn turn_service(settings: &Settings) -> Result<Option<TurnServiceConfig>, ConfigError> {
    let Some(id) = settings.text("CLOUDFLARE_TURN_KEY_ID") else {
        return Ok(None);
    };
    let token = settings.need("CLOUDFLARE_TURN_TOKEN", "the key's API token")?;
    if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(ConfigError::new(
            "CLOUDFLARE_TURN_KEY_ID",
            "expected letters and digits",
        ));
    }
    let base = settings.text("CLOUDFLARE_TURN_API");
    let base = base.as_deref().unwrap_or(TURN_SERVICE_BASE);
    let url = format!("{base}/v1/turn/keys/{id}/credentials/generate-ice-servers");
    Ok(Some(TurnServiceConfig { url, token }))
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
        Config::parse(&Settings::of(&|name| {
            values.get(name).map(|value| (*value).to_owned())
        }))
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
    fn the_signing_account_is_an_operator_only_if_named() {
        let other = Address::repeat_byte(5);
        let config = parse(&[("OPERATORS", &format!("{other}, "))]).ok().unwrap();
        assert!(config.is_operator(other) && !config.is_operator(config.operator));
        assert!(!config.is_operator(Address::ZERO));
        assert!(config.is_anchorer_alone(config.operator) && !config.is_anchorer_alone(other));
        let both = parse(&[("OPERATORS", &config.operator.to_string())])
            .ok()
            .unwrap();
        assert!(both.is_operator(both.operator) && !both.is_anchorer_alone(both.operator));
        assert!(both.signs_by_key(both.operator) && !both.signs_by_key(other));
        let contract = parse(&[("CONTRACT_OPERATORS", &other.to_string())]).ok().unwrap();
        assert!(contract.is_operator(other) && !contract.signs_by_key(other));
    }

    #[test]
    fn sign_in_domains_are_required_off_development_chains() {
        let fault = |changes: &[(&str, &str)]| parse(changes).ok().unwrap().sign_in_fault();
        assert_eq!(fault(&[]), None);
        assert!(fault(&[("CHAIN_ID", "1")]).is_some_and(|fault| fault.starts_with("SIWE_DOMAINS: ")));
        assert_eq!(fault(&[("CHAIN_ID", "1"), ("SIWE_DOMAINS", "app.example")]), None);
    }

    #[test]
    fn new_streams_are_in_rounds_unless_set_otherwise() {
        let usual = |changes: &[(&str, &str)]| parse(changes).ok().unwrap().usual_settings();
        assert_eq!(usual(&[]), StreamSettings::default());
        assert_eq!(usual(&[]).anchor, Anchoring::Shared);
        let own = usual(&[("NEW_STREAMS_ANCHOR", "own")]);
        assert_eq!(own, StreamSettings::of_version_before());
    }

    #[test]
    fn another_header_may_have_the_clients_address() {
        let header = |changes: &[(&str, &str)]| parse(changes).ok().unwrap().client_header;
        assert_eq!(header(&[]), "cf-connecting-ip");
        assert_eq!(header(&[("CLIENT_ADDRESS_HEADER", "X-Real-IP")]), "x-real-ip");
    }

    #[test]
    fn off_development_chains_only_listed_owners_spend_gas() {
        let (listed, operator, other) = [7, 5, 9].map(Address::repeat_byte).into();
        let operators = operator.to_string();
        let allowed = |changes: &[(&str, &str)]| {
            let changes = [changes, &[("OPERATORS", operators.as_str())]].concat();
            let config = parse(&changes).ok().unwrap();
            [config.operator, operator, listed, other].map(|owner| config.gas_owners.includes(owner))
        };
        let list = listed.to_string();
        assert_eq!(allowed(&[("CHAIN_ID", "31337")]), [true; 4]);
        assert_eq!(allowed(&[("CHAIN_ID", "1337")]), [true; 4]);
        assert_eq!(allowed(&[("CHAIN_ID", "1")]), [true, true, false, false]);
        assert_eq!(
            allowed(&[("CHAIN_ID", "1"), ("GAS_OWNERS", &list)]),
            [true, true, true, false]
        );
        assert_eq!(allowed(&[("CHAIN_ID", "1"), ("GAS_OWNERS", "*")]), [true; 4]);
        assert_eq!(
            allowed(&[("GAS_OWNERS", &list)]),
            [true, true, true, false],
            "what is set holds on every chain"
        );
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
    fn a_relay_keeps_its_key_while_the_secret_is_changed() {
        let (old, relay) = ("22".repeat(32), "a".parse().unwrap());
        let key_of = |config: &Config, id| config.relay_key(&relay, id).to_hex();
        let before = parse(&[("MASTER_SECRET", &old)]).ok().unwrap();
        let old_key = before.master.relay_key(&relay);
        let changing = parse(&[("MASTER_SECRET_PREVIOUS", &old)]).ok().unwrap();
        let after = parse(&[]).ok().unwrap();
        let new_key = after.master.relay_key(&relay);
        assert_eq!(key_of(&changing, Some(old_key.id())), old_key.to_hex());
        assert_eq!(key_of(&changing, Some(new_key.id())), new_key.to_hex());
        assert_eq!(key_of(&changing, None), new_key.to_hex());
        assert_eq!(
            key_of(&after, Some(old_key.id())),
            new_key.to_hex(),
            "the change is over"
        );
    }

    #[test]
    fn every_error_names_its_variable() {
        for (name, value) in [
            ("MASTER_SECRET", "abc"),
            ("ANCHORER_KEY", "abc"),
            ("ANCHORER_KEY", ""),
            ("CHAIN_ID", "main"),
            ("CONTRACT_ADDRESS", "0x12"),
            ("CONTRACT_BLOCK", "first"),
            ("PUBLIC_RPC_URL", "127.0.0.1:8545"),
            ("AUTO_CREATE_STREAMS", "perhaps"),
            ("ICE_SERVERS", "http://x"),
            ("RATE_LIMITS", "fast"),
            ("OPERATORS", "0x12"),
            ("CONTRACT_OPERATORS", "0x12"),
            ("GAS_OWNERS", "everybody"),
            ("CLOUDFLARE_TURN_KEY_ID", "a/b"),
            ("ARCHIVE_PACK_BYTES", "4 MiB"),
            ("DATABASE_BYTES", "-1"),
            ("MASTER_SECRET_PREVIOUS", "0x12"),
            ("CLIENT_ADDRESS_HEADER", "x real ip"),
            ("METRICS_TOKEN", "short"),
            ("NEW_STREAMS_ANCHOR", "rounds"),
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
        let previous = parse(&[("MASTER_SECRET_PREVIOUS", "old")]).err().unwrap();
        assert!(
            previous
                .to_string()
                .starts_with("MASTER_SECRET_PREVIOUS: expected 64"),
            "{previous}"
        );
    }
}
